package crowd

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

// member is a process that obeys. One goroutine uses it, but for what mu guards.
type member struct {
	swarm       *swarm.Swarm
	clock       note.Clock
	connections int
	pace        swarm.Pace

	mu     sync.Mutex
	failed error // guarded by mu: of opening
}

var errOrder = errors.New("not an order")

// Serve holds connections as it is told, until orders end or ctx does.
func Serve(ctx context.Context, cfg swarm.Config, connections int, pace swarm.Pace, orders io.Reader, answers io.Writer) error {
	clock := note.NewClock()
	s, err := swarm.New(cfg, clock)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	m := &member{swarm: s, clock: clock, connections: connections, pace: pace}
	var opening sync.WaitGroup
	err = m.obey(ctx, &opening, orders, answers)
	cancel()
	opening.Wait()
	return errors.Join(err, s.Stop())
}

func (m *member) obey(ctx context.Context, opening *sync.WaitGroup, orders io.Reader, answers io.Writer) error {
	lines := bufio.NewScanner(orders)
	for lines.Scan() && ctx.Err() == nil {
		state, err := m.do(ctx, opening, Order(lines.Text()))
		if err != nil {
			return err
		}
		text, err := json.Marshal(state)
		if err != nil {
			return fmt.Errorf("answering: %w", err)
		}
		if _, err := answers.Write(append(text, '\n')); err != nil {
			return fmt.Errorf("answering: %w", err)
		}
	}
	return lines.Err()
}

func (m *member) do(ctx context.Context, opening *sync.WaitGroup, order Order) (State, error) {
	state := State{}
	switch order {
	case Open:
		opening.Go(func() { m.open(ctx) })
	case Look:
	case Measure:
		m.swarm.RecordFrom(m.clock.Now())
	case Results:
		state.Missing = m.swarm.Missing(func(int) uint32 { return 1 })
		state.Latencies = m.swarm.Latencies().Export()
	default:
		return state, fmt.Errorf("%w: %q", errOrder, order)
	}
	state.Stats, state.Problems = m.swarm.Stats(), m.swarm.Problems()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failed != nil {
		state.Error = m.failed.Error()
	}
	return state, nil
}

func (m *member) open(ctx context.Context) {
	err := m.swarm.Open(ctx, 0, m.connections, m.pace)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failed = err
}
