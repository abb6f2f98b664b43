package httpapi

import (
	"testing"
	"time"
)

func TestQuantile(t *testing.T) {
	t.Parallel()
	bounds := []time.Duration{time.Millisecond, 10 * time.Millisecond, 100 * time.Millisecond}
	for _, tt := range []struct {
		name   string
		counts []uint64
		part   float64
		want   time.Duration
		ok     bool
	}{
		{"none", []uint64{0, 0, 0, 0}, 0.5, 0, false},
		{"half of the first bucket", []uint64{10, 0, 0, 0}, 0.5, 500 * time.Microsecond, true},
		{"all of the first bucket", []uint64{10, 0, 0, 0}, 1, time.Millisecond, true},
		{"the middle one", []uint64{5, 10, 5, 0}, 0.5, 5500 * time.Microsecond, true},
		{"empty ones are passed over", []uint64{0, 0, 10, 0}, 0.1, 19 * time.Millisecond, true},
		{"more than the last bound", []uint64{1, 0, 0, 99}, 0.99, 100 * time.Millisecond, true},
	} {
		h := Histogram{Bounds: bounds, Counts: tt.counts}
		if got, ok := h.quantile(tt.part); got != tt.want || ok != tt.ok {
			t.Errorf("%s: %s, %v; want %s, %v", tt.name, got, ok, tt.want, tt.ok)
		}
	}
	before := Histogram{Bounds: bounds, Counts: []uint64{1, 2, 3, 4}, Sum: time.Second}
	after := Histogram{Bounds: bounds, Counts: []uint64{2, 4, 6, 8}, Sum: 3 * time.Second}
	if got := after.since(&before); got.Sum != 2*time.Second || got.Counts[0] != 1 || got.Counts[3] != 4 {
		t.Errorf("since: %+v", got)
	}
	if got := after.since(&Histogram{}); got.Counts[3] != 8 || got.Sum != 3*time.Second {
		t.Errorf("since nothing: %+v", got)
	}
}

func TestQuantileInMilliseconds(t *testing.T) {
	t.Parallel()
	h := Histogram{Bounds: []time.Duration{10 * time.Millisecond}, Counts: []uint64{0, 0}}
	if got := h.milliseconds(0.5); got != nil {
		t.Errorf("of nothing: %v", *got)
	}
	h.Counts[0] = 4
	if got := h.milliseconds(0.5); got == nil || *got != 5 {
		t.Errorf("half of what took 10 ms at most: %v", got)
	}
}
