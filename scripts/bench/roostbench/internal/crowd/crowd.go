package crowd

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

// Voice is where a member takes orders and answers.
type Voice struct {
	Orders  io.Writer
	Answers io.Reader
}

// Crowd gives orders to members. One goroutine uses it.
type Crowd struct {
	orders  []io.Writer
	answers []*bufio.Reader
}

// New makes a crowd of members.
func New(voices []Voice) *Crowd {
	c := new(Crowd)
	for _, v := range voices {
		c.orders = append(c.orders, v.Orders)
		c.answers = append(c.answers, bufio.NewReader(v.Answers))
	}
	return c
}

// Sum is what all members say together.
type Sum struct {
	Stats     swarm.Stats
	Missing   int
	Latencies *hdrhistogram.Histogram // after Results; nanoseconds
	Problems  map[string]int
}

// Tell gives all members an order and adds up what they answer.
func (c *Crowd) Tell(order Order) (Sum, error) {
	for i, w := range c.orders { // all, before any answer: they work at the same time
		if _, err := io.WriteString(w, string(order)+"\n"); err != nil {
			return Sum{}, fmt.Errorf("member %d does not take orders: %w", i, err)
		}
	}
	sum := Sum{Problems: map[string]int{}}
	for i, r := range c.answers {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return sum, fmt.Errorf("member %d does not answer: %w", i, err)
		}
		var state State
		if err := json.Unmarshal(line, &state); err != nil {
			return sum, fmt.Errorf("member %d says %.100q: %w", i, line, err)
		}
		if state.Error != "" {
			return sum, fmt.Errorf("member %d: %w: %s", i, errMember, state.Error)
		}
		sum.add(state)
	}
	return sum, nil
}

var errMember = errors.New("a member failed")

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

// Trouble is what went wrong, for an error's text.
func (s *Sum) Trouble() string {
	var lines []string
	for _, problem := range slices.Sorted(maps.Keys(s.Problems)) {
		lines = append(lines, fmt.Sprintf("%d times %s", s.Problems[problem], problem))
	}
	return strings.Join(lines, "; ")
}
