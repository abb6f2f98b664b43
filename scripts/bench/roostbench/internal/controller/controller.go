package controller

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/HdrHistogram/hdrhistogram-go"

	"roost/bench/roostbench/internal/swarm"
)

// Pipes are the standard input and output of a worker.
type Pipes struct {
	Commands  io.Writer
	Responses io.Reader
}

// Controller sends commands to workers. One goroutine uses it.
type Controller struct {
	commands  []io.Writer
	responses []*bufio.Reader
}

// New makes a controller of workers.
func New(pipes []Pipes) *Controller {
	c := new(Controller)
	for _, p := range pipes {
		c.commands = append(c.commands, p.Commands)
		c.responses = append(c.responses, bufio.NewReader(p.Responses))
	}
	return c
}

// Sum is what all workers say together.
type Sum struct {
	Stats     swarm.Stats
	Missing   int
	Latencies *hdrhistogram.Histogram // after Results; nanoseconds
	Problems  map[string]int
}

// Send sends all workers a command and adds up their responses.
func (c *Controller) Send(command Command) (Sum, error) {
	for i, w := range c.commands { // all, before any response: they work at the same time
		if _, err := io.WriteString(w, string(command)+"\n"); err != nil {
			return Sum{}, fmt.Errorf("worker %d does not take commands: %w", i, err)
		}
	}
	sum := Sum{Problems: map[string]int{}}
	for i, r := range c.responses {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return sum, fmt.Errorf("worker %d does not answer: %w", i, err)
		}
		var state State
		if err := json.Unmarshal(line, &state); err != nil {
			return sum, fmt.Errorf("worker %d says %.100q: %w", i, line, err)
		}
		if state.Error != "" {
			return sum, fmt.Errorf("worker %d: %w: %s", i, errWorker, state.Error)
		}
		sum.add(state)
	}
	return sum, nil
}

var errWorker = errors.New("a worker failed")

func (s *Sum) add(state State) {
	s.Stats = s.Stats.Plus(state.Stats)
	s.Missing += state.Missing
	for problem, n := range state.Problems {
		s.Problems[problem] += n
	}
	if state.Latencies == nil {
		return
	}
	h := hdrhistogram.Import(state.Latencies)
	if s.Latencies == nil {
		s.Latencies = h
		return
	}
	s.Latencies.Merge(h)
}

// Failures is what went wrong, for an error's text.
func (s *Sum) Failures() string {
	var lines []string
	for _, problem := range slices.Sorted(maps.Keys(s.Problems)) {
		lines = append(lines, fmt.Sprintf("%d times %s", s.Problems[problem], problem))
	}
	return strings.Join(lines, "; ")
}
