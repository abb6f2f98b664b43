// Package gctrace reads what GODEBUG=gctrace=1 has a Go program write on its
// standard error for each garbage collection.
package gctrace

import (
	"strconv"
	"strings"
	"time"
)

// Cycle is one collection.
type Cycle struct {
	Pauses [2]time.Duration // how long the world stood still, at its begin and at its end
	CPU    time.Duration    // what it cost in all, idle processors not counted
	Forced bool             // the program asked for it
}

// Sum is what many collections cost.
type Sum struct {
	Cycles, Forced int
	Longest        time.Duration // of the pauses
	Paused         time.Duration // all pauses
	CPU            time.Duration
}

// Parse reads lines like
//
//	gc 1 @0.01s 1%: 0.02+0.45+0.003 ms clock, 0.04+0.1/0.3/0.1+0.006 ms cpu, 4->4->1 MB, 4 MB goal, 0 MB stacks, 0 MB globals, 2 P
//
// and skips all others. The CPU's middle part is assist/background/idle.
func Parse(text string) []Cycle {
	var all []Cycle
	for line := range strings.Lines(text) {
		if c, ok := parseLine(line); ok {
			all = append(all, c)
		}
	}
	return all
}

func parseLine(line string) (Cycle, bool) {
	if !strings.HasPrefix(line, "gc ") {
		return Cycle{}, false
	}
	_, rest, found := strings.Cut(line, "%: ")
	clock, rest, found1 := strings.Cut(rest, " ms clock, ")
	cpu, rest, found2 := strings.Cut(rest, " ms cpu,")
	if !found || !found1 || !found2 {
		return Cycle{}, false
	}
	walls, costs := strings.Split(clock, "+"), strings.Split(cpu, "+")
	if len(walls) != 3 || len(costs) != 3 {
		return Cycle{}, false
	}
	middle := strings.Split(costs[1], "/")
	if len(middle) != 3 {
		return Cycle{}, false
	}
	c := Cycle{Pauses: [2]time.Duration{ms(walls[0]), ms(walls[2])}, Forced: strings.Contains(rest, "(forced)")}
	c.CPU = ms(costs[0]) + ms(middle[0]) + ms(middle[1]) + ms(costs[2])
	return c, true
}

func ms(text string) time.Duration {
	v, _ := strconv.ParseFloat(text, 64)
	return time.Duration(v * float64(time.Millisecond))
}

// Add sums collections.
func Add(cycles []Cycle) Sum {
	var s Sum
	for _, c := range cycles {
		s.Cycles++
		if c.Forced {
			s.Forced++
		}
		for _, p := range c.Pauses {
			s.Longest = max(s.Longest, p)
			s.Paused += p
		}
		s.CPU += c.CPU
	}
	return s
}
