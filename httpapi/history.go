package httpapi

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"
)

// historyKept is how many samples each range of the history has at most.
const historyKept = 360

// historyRanges are how far back the history goes, and how fine it is there: the finest first. A console that was opened a moment
// ago shows all of it.
var historyRanges = [...]historyRange{
	{"hour", 10 * time.Second},
	{"day", 4 * time.Minute},
	{"week", 28 * time.Minute},
}

// historyRange is a name and how far apart its samples are.
type historyRange struct {
	name  string
	every time.Duration
}

// Sample is a moment of the history. Rates are averages since the sample before.
type Sample struct {
	At          int64   `json:"t"` // Unix seconds
	Connections int     `json:"connections"`
	Received    float64 `json:"received"` // notifications a second, from Redis
	Sent        float64 `json:"sent"`     // to connections
	Failed      float64 `json:"failed"`
	Refused     float64 `json:"refused"`
	Closed      float64 `json:"closed"`

	P50  *float64 `json:"p50_ms,omitempty"` // from Redis to the socket; nil where nothing was sent
	P99  *float64 `json:"p99_ms,omitempty"`
	Busy float64  `json:"busy"` // the busiest loop's or the feed's share of its time

	Loops []float64 `json:"loops"` // each loop's share
}

// history keeps the last samples of each range. Any goroutine reads it; one takes the samples.
type history struct {
	stats func() Stats // static

	mu     sync.Mutex
	ranges [len(historyRanges)]samples // guarded by mu
}

// samples are those of one range.
type samples struct {
	kept   []Sample // oldest first
	last   Stats    // what the latest was taken from
	lastAt time.Time
}

// run takes samples until ctx ends.
func (h *history) run(ctx context.Context) {
	h.begin(time.Now())
	ticker := time.NewTicker(historyRanges[0].every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			h.take(now)
		}
	}
}

// begin reads the values with which the first samples are compared.
func (h *history) begin(now time.Time) {
	stats := h.stats()
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range h.ranges {
		h.ranges[i].last, h.ranges[i].lastAt = stats, now
	}
}

// take takes a sample for each range that is due. Ticks may come a moment early or late.
func (h *history) take(now time.Time) {
	stats := h.stats()
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range h.ranges {
		if now.Sub(h.ranges[i].lastAt) > historyRanges[i].every-historyRanges[0].every/2 {
			h.ranges[i].take(now, &stats)
		}
	}
}

// take adds a sample: what happened since the one before.
func (s *samples) take(now time.Time, stats *Stats) {
	seconds := now.Sub(s.lastAt).Seconds()
	perSecond := func(of func(*Stats) uint64) float64 { return float64(of(stats)-of(&s.last)) / seconds }
	if len(s.kept) == historyKept {
		s.kept = append(s.kept[:0], s.kept[1:]...)
	}
	took := stats.DeliveryTimes.since(&s.last.DeliveryTimes)
	loops := loopShares(stats, &s.last, seconds)
	s.kept = append(s.kept, Sample{
		P50: took.milliseconds(0.5), P99: took.milliseconds(0.99),
		Busy:        max(slices.Max(append(loops, 0)), (stats.FeedBusy-s.last.FeedBusy).Seconds()/seconds),
		Loops:       loops,
		At:          now.Unix(),
		Connections: stats.Connections,
		Received:    perSecond(func(s *Stats) uint64 { return s.NotificationsReceived }),
		Sent:        perSecond(func(s *Stats) uint64 { return s.DeliveriesSent }),
		Failed:      perSecond(func(s *Stats) uint64 { return sum(s.DeliveriesFailed) }),
		Refused:     perSecond(func(s *Stats) uint64 { return sum(s.ConnectionsRefused) }),
		Closed:      perSecond(func(s *Stats) uint64 { return sum(s.ConnectionsClosed) }),
	})
	s.last, s.lastAt = *stats, now
}

// loopShares are the shares of its time that each loop was not asleep, to a thousandth.
func loopShares(now, before *Stats, seconds float64) []float64 {
	shares := make([]float64, min(len(now.LoopBusy), len(before.LoopBusy)))
	for i := range shares {
		shares[i] = math.Round((now.LoopBusy[i]-before.LoopBusy[i]).Seconds()/seconds*1e3) / 1e3
	}
	return shares
}

// after returns the samples of a range that were taken after a moment, in Unix seconds.
func (h *history) after(ofRange int, since int64) []Sample {
	h.mu.Lock()
	defer h.mu.Unlock()
	kept := h.ranges[ofRange].kept
	for i := range kept {
		if kept[i].At > since {
			return append([]Sample{}, kept[i:]...)
		}
	}
	return []Sample{} // a list for the page
}

// latest is the newest sample of the finest range; nil while there is none.
func (h *history) latest() *Sample {
	h.mu.Lock()
	defer h.mu.Unlock()
	kept := h.ranges[0].kept
	if len(kept) == 0 {
		return nil
	}
	latest := kept[len(kept)-1]
	return &latest
}

func sum(byReason map[string]uint64) (total uint64) {
	for _, n := range byReason {
		total += n
	}
	return total
}
