package httpapi

import "time"

// Histogram is durations counted by buckets.
type Histogram struct {
	Bounds []time.Duration // inclusive, ascending
	Counts []uint64        // one a bound: those above the bound before it; and one for those above all
	Sum    time.Duration
}

// cumulative, as Prometheus needs it: all of them, and for each bound those that are not above it.
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

// since is what was counted after an earlier reading of the same histogram.
func (h *Histogram) since(before *Histogram) Histogram {
	later := Histogram{Bounds: h.Bounds, Counts: make([]uint64, len(h.Counts)), Sum: h.Sum - before.Sum}
	for i, n := range h.Counts {
		later.Counts[i] = n
		if i < len(before.Counts) {
			later.Counts[i] -= before.Counts[i]
		}
	}
	return later
}

// quantile is the duration that a part of all do not exceed, as far as buckets can say: within one they are taken to be
// spread evenly, and above the last bound nothing is known but that. Without any it is 0, and ok false.
func (h *Histogram) quantile(part float64) (d time.Duration, ok bool) {
	total := uint64(0)
	for _, n := range h.Counts {
		total += n
	}
	if total == 0 || len(h.Bounds) == 0 {
		return 0, false
	}
	rank, below := part*float64(total), 0.0
	for i, bound := range h.Bounds {
		here := float64(h.Counts[i])
		if below+here >= rank && here > 0 {
			low := time.Duration(0)
			if i > 0 {
				low = h.Bounds[i-1]
			}
			return low + time.Duration((rank-below)/here*float64(bound-low)), true
		}
		below += here
	}
	return h.Bounds[len(h.Bounds)-1], true
}

// milliseconds is quantile for the console; nil for none.
func (h *Histogram) milliseconds(part float64) *float64 {
	d, ok := h.quantile(part)
	if !ok {
		return nil
	}
	ms := milliseconds(d)
	return &ms
}
