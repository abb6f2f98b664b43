package meter

import (
	"sync/atomic"
	"time"
)

// Histogram counts durations by buckets. One goroutine at a time writes, anybody reads.
// It allocates nothing once it is made.
type Histogram struct {
	bounds []time.Duration // static
	counts []atomic.Uint64 // one a bound, and one for what is longer
	sum    atomic.Uint64   // nanoseconds
}

// NewHistogram makes a histogram whose buckets have these bounds, each inclusive, ascending.
func NewHistogram(bounds []time.Duration) Histogram {
	return Histogram{bounds: bounds, counts: make([]atomic.Uint64, len(bounds)+1)}
}

// Observe counts n times the same duration. Nearly all are in the first buckets, so
// that a walk finds them before a search would.
func (h *Histogram) Observe(d time.Duration, n int) {
	i := 0
	for i < len(h.bounds) && d > h.bounds[i] {
		i++
	}
	h.counts[i].Add(uint64(n))
	h.sum.Add(uint64(max(d, 0)) * uint64(n))
}

// Counts is durations counted by buckets.
type Counts struct {
	Bounds []time.Duration // inclusive, ascending; not to be changed
	Counts []uint64        // one a bound: those above the bound before it; and one for those above all
	Sum    time.Duration
}

// AddTo adds h to a sum over loops. Any goroutine.
func (h *Histogram) AddTo(sum *Counts) {
	if sum.Counts == nil {
		sum.Bounds, sum.Counts = h.bounds, make([]uint64, len(h.counts))
	}
	for i := range h.counts {
		sum.Counts[i] += h.counts[i].Load()
	}
	sum.Sum += time.Duration(h.sum.Load())
}
