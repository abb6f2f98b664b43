package note

import "slices"

// Verdict is what a Checker says of a number.
type Verdict uint8

// What it says.
const (
	InOrder   Verdict = iota
	Skipping          // numbers before it are missing: lost, or late
	Late              // it was missing, and comes behind a later one
	Duplicate         // it came before
)

// Checker follows the numbers that one connection gets. The zero value expects
// 1 first. It holds memory only while something is missing.
type Checker struct {
	last uint32 // the highest number seen
	gaps []gap  // what is missing below it, in order
}

// gap is missing numbers, both ends included.
type gap struct{ from, to uint32 }

// After is a Checker that expects the number after last first.
func After(last uint32) Checker { return Checker{last: last} }

// See takes the next number.
func (c *Checker) See(seq uint32) Verdict {
	switch {
	case seq == c.last+1:
		c.last = seq
		return InOrder
	case seq > c.last:
		c.gaps = append(c.gaps, gap{c.last + 1, seq - 1})
		c.last = seq
		return Skipping
	case c.fill(seq):
		return Late
	}
	return Duplicate
}

// fill takes seq out of what is missing, if it is.
func (c *Checker) fill(seq uint32) bool {
	for i, g := range c.gaps {
		if seq < g.from || seq > g.to {
			continue
		}
		var left []gap
		if g.from < seq {
			left = append(left, gap{g.from, seq - 1})
		}
		if seq < g.to {
			left = append(left, gap{seq + 1, g.to})
		}
		c.gaps = slices.Replace(c.gaps, i, i+1, left...)
		return true
	}
	return false
}

// Highest is the highest number seen.
func (c *Checker) Highest() uint32 { return c.last }

// Lost is how many of the numbers up to published have not been seen, from the first that was expected on.
func (c *Checker) Lost(published uint32) int {
	lost := 0
	for _, g := range c.gaps {
		if to := min(g.to, published); to >= g.from {
			lost += int(to-g.from) + 1
		}
	}
	if published > c.last {
		lost += int(published - c.last)
	}
	return lost
}
