package meter

import (
	"slices"
	"testing"
	"time"
)

func TestHistogram(t *testing.T) {
	t.Parallel()
	bounds := []time.Duration{10, 20, 30}
	a, b := NewHistogram(bounds), NewHistogram(bounds)
	for _, d := range []time.Duration{-5, 0, 10, 11, 20, 31, 1000} {
		a.Observe(d, 1)
	}
	b.Observe(30, 2)
	var sum Counts
	a.AddTo(&sum)
	b.AddTo(&sum)
	if want := []uint64{3, 2, 2, 2}; !slices.Equal(sum.Counts, want) || sum.Sum != 1132 || !slices.Equal(sum.Bounds, bounds) {
		t.Errorf("got %+v, want counts %v and a sum of 1132 ns", sum, want)
	}
}

func BenchmarkHistogram(b *testing.B) {
	h := NewHistogram([]time.Duration{100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond, time.Millisecond})
	for b.Loop() {
		h.Observe(300*time.Microsecond, 1)
	}
}
