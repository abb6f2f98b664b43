package netpoll

import (
	"slices"
	"testing"
	"time"
)

func TestHistogram(t *testing.T) {
	t.Parallel()
	bounds := []time.Duration{10, 20, 30}
	a, b := newHistogram(bounds), newHistogram(bounds)
	for _, d := range []time.Duration{-5, 0, 10, 11, 20, 31, 1000} {
		a.observe(d, 1)
	}
	b.observe(30, 2)
	var sum Histogram
	a.addTo(&sum)
	b.addTo(&sum)
	if want := []uint64{3, 2, 2, 2}; !slices.Equal(sum.Counts, want) || sum.Sum != 1132 || !slices.Equal(sum.Bounds, bounds) {
		t.Errorf("got %+v, want counts %v and a sum of 1132 ns", sum, want)
	}
}

func TestBoundsAscend(t *testing.T) {
	t.Parallel()
	if !slices.IsSorted(deliveryBounds[:]) || !slices.IsSorted(handshakeBounds[:]) {
		t.Error("not in order")
	}
}

func BenchmarkHistogram(b *testing.B) {
	h := newHistogram(deliveryBounds[:])
	for b.Loop() {
		h.observe(300*time.Microsecond, 1)
	}
}
