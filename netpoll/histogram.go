package netpoll

import (
	"sync/atomic"
	"time"
)

// Bounds of the buckets, each inclusive.
var (
	// deliveryBounds reach from what an idle server needs to the WriteWait of a client that takes nothing.
	deliveryBounds = [...]time.Duration{
		100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
		time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
		10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
		100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
		time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
	}
	// handshakeBounds begin where the clock of connections, which counts milliseconds, can tell them apart.
	handshakeBounds = [...]time.Duration{
		5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
		100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
		time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
	}
)

// histogram counts durations by buckets. The loop writes, anybody reads. It
// allocates nothing once it is made.
type histogram struct {
	bounds []time.Duration // static
	counts []atomic.Uint64 // one a bound, and one for what is longer
	sum    atomic.Uint64   // nanoseconds
}

func newHistogram(bounds []time.Duration) histogram {
	return histogram{bounds: bounds, counts: make([]atomic.Uint64, len(bounds)+1)}
}

// observe counts n times the same duration. Nearly all are in the first buckets, so
// that a walk finds them before a search would.
func (h *histogram) observe(d time.Duration, n int) {
	i := 0
	for i < len(h.bounds) && d > h.bounds[i] {
		i++
	}
	h.counts[i].Add(uint64(n))
	h.sum.Add(uint64(max(d, 0)) * uint64(n))
}

// Histogram is durations counted by buckets.
type Histogram struct {
	Bounds []time.Duration // inclusive, ascending; not to be changed
	Counts []uint64        // one a bound: those above the bound before it; and one for those above all
	Sum    time.Duration
}

// addTo adds h to a sum over loops. Any goroutine.
func (h *histogram) addTo(sum *Histogram) {
	if sum.Counts == nil {
		sum.Bounds, sum.Counts = h.bounds, make([]uint64, len(h.counts))
	}
	for i := range h.counts {
		sum.Counts[i] += h.counts[i].Load()
	}
	sum.Sum += time.Duration(h.sum.Load())
}
