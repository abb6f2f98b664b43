package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// verdict is what became of one target.
type verdict struct {
	ID       string // page.md.tmpl may explain a distance as "why-ID"
	Target   string
	Measured string // "" where it was not measured
	Met      bool
}

// Word is the verdict in a word.
func (v verdict) Word() string {
	switch {
	case v.Measured == "":
		return "not measured in this run"
	case v.Met:
		return "met"
	}
	return "**not met**"
}

// result is a measured value with its text; nil is none.
type result struct {
	value float64
	text  string
}

// measured is a median with its unit.
func (s *summary) measured(step, server, name, unit string) *result {
	v := newSpread(s.values(step, server, key{name: name}))
	if v.n == 0 {
		return nil
	}
	return &result{v.median, strings.TrimSpace(v.String() + " " + unit)}
}

// at is measured, at a size.
func (s *summary) at(step, server, name string, size int, unit string) *result {
	v := newSpread(s.values(step, server, key{name, size}))
	if v.n == 0 {
		return nil
	}
	return &result{v.median, strings.TrimSpace(v.String() + " " + unit)}
}

// against is the ratio of two servers' medians.
func (s *summary) against(step, name, server, other string) *result {
	a, ok1 := s.median(step, server, name)
	b, ok2 := s.median(step, other, name)
	if !ok1 || !ok2 || b == 0 {
		return nil
	}
	return &result{a / b, fmt.Sprintf("%.2f times %s's (%s and %s)", a/b, other, number(a), number(b))}
}

// peers are the other servers of a step.
func (s *summary) peers(step string) []string {
	return slices.DeleteFunc(s.servers(step), func(server string) bool { return server == ours || server == window || server == floor })
}

// best is the peer with the lowest median.
func (s *summary) best(step, name string) string {
	best, lowest := "", 0.0
	for _, peer := range s.peers(step) {
		if v, ok := s.median(step, peer, name); ok && (best == "" || v < lowest) {
			best, lowest = peer, v
		}
	}
	return best
}

// againstBest is the ratio to the best peer's median.
func (s *summary) againstBest(step, name string) *result {
	best := s.best(step, name)
	if best == "" {
		return nil
	}
	return s.against(step, name, ours, best)
}

// pairs is the median over the rounds of the ratio to the best peer in the same
// round.
func (s *summary) pairs(step, name, unit string) *result {
	peer := s.best(step, name)
	mine, theirs := s.values(step, ours, key{name: name}), s.values(step, peer, key{name: name})
	ratios := map[int]float64{}
	for _, round := range slices.Sorted(maps.Keys(mine)) {
		if theirs[round] > 0 {
			ratios[round] = mine[round] / theirs[round]
		}
	}
	r := newSpread(ratios)
	if r.n == 0 {
		return nil
	}
	text := fmt.Sprintf("%.2f times %s's, median of %d pairs (medians %s and %s %s)",
		r.median, peer, r.n, newSpread(mine).short(), newSpread(theirs).short(), unit)
	return &result{r.median, text}
}

func (s spread) short() string { return number(s.median) }

// atMost is the verdict on an upper bound.
func atMost(id, target string, r *result, limit float64) verdict {
	v := verdict{ID: id, Target: target}
	if r != nil {
		v.Measured, v.Met = r.text, r.value <= limit
	}
	return v
}

// losses is what went wrong with our notifications and connections in all steps.
func (s *summary) losses() *result {
	sum, steps := 0.0, map[string]bool{}
	published := 0
	for _, m := range s.Reports {
		if m.Server != ours && m.Server != window && m.Server != secure {
			continue
		}
		for _, f := range m.Figures {
			if f.Name == "missing" {
				steps[m.Step] = true
				published++
			}
			if f.Name == "missing" || slices.Contains(quiet, f.Name) {
				sum += f.Value
			}
		}
	}
	if published == 0 {
		return nil
	}
	return &result{sum, fmt.Sprintf("%s in %d measurements of %d steps", number(sum), published, len(steps))}
}
