package httpapi

import "time"

// Histogram is durations counted by buckets.
type Histogram struct {
	Bounds []time.Duration // inclusive, ascending
	Counts []uint64        // one a bound: those above the bound before it; and one for those above all
	Sum    time.Duration
}

// cumulative is how Prometheus wants it: all of them, and for each bound those that are not above it.
func (h *Histogram) cumulative() (count uint64, buckets map[float64]uint64) {
	buckets = make(map[float64]uint64, len(h.Bounds))
	for i, n := range h.Counts {
		count += n
		if i < len(h.Bounds) {
			buckets[h.Bounds[i].Seconds()] = count
		}
	}
	return count, buckets
}
