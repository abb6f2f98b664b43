package controller

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"roost/bench/roostbench/internal/note"
	"roost/bench/roostbench/internal/swarm"
)

// worker is a process that runs commands. One goroutine uses it, but for what mu guards.
type worker struct {
	swarm       *swarm.Swarm
	clock       note.Clock
	connections int
	pace        swarm.Pace

	mu     sync.Mutex
	failed error // guarded by mu: of opening
}

var errCommand = errors.New("not an command")

// Serve holds connections as the commands say, until they end or ctx does.
func Serve(ctx context.Context, cfg swarm.Config, connections int, pace swarm.Pace, commands io.Reader, responses io.Writer) error {
	clock := note.NewClock()
	s, err := swarm.New(cfg, clock)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	m := &worker{swarm: s, clock: clock, connections: connections, pace: pace}
	var opening sync.WaitGroup
	err = m.serve(ctx, &opening, commands, responses)
	cancel()
	opening.Wait()
	return errors.Join(err, s.Stop())
}

func (m *worker) serve(ctx context.Context, opening *sync.WaitGroup, commands io.Reader, responses io.Writer) error {
	lines := bufio.NewScanner(commands)
	for lines.Scan() && ctx.Err() == nil {
		state, err := m.do(ctx, opening, Command(lines.Text()))
		if err != nil {
			return err
		}
		text, err := json.Marshal(state)
		if err != nil {
			return fmt.Errorf("answering: %w", err)
		}
		if _, err := responses.Write(append(text, '\n')); err != nil {
			return fmt.Errorf("answering: %w", err)
		}
	}
	return lines.Err()
}

func (m *worker) do(ctx context.Context, opening *sync.WaitGroup, command Command) (State, error) {
	state := State{}
	switch command {
	case Open:
		opening.Go(func() { m.open(ctx) })
	case Status:
	case Measure:
		m.swarm.RecordFrom(m.clock.Now())
	case Results:
		state.Missing = m.swarm.Missing(func(int) uint32 { return 1 })
		state.Latencies = m.swarm.Latencies().Export()
	default:
		return state, fmt.Errorf("%w: %q", errCommand, command)
	}
	state.Stats, state.Problems = m.swarm.Stats(), m.swarm.Problems()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failed != nil {
		state.Error = m.failed.Error()
	}
	return state, nil
}

func (m *worker) open(ctx context.Context) {
	err := m.swarm.Open(ctx, 0, m.connections, m.pace)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failed = err
}
