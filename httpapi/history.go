package httpapi

import (
	"context"
	"sync"
	"time"
)

// The console shows the last hour, also to someone who has only just opened it.
const (
	historyEvery = 10 * time.Second
	historyKept  = 360
)

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
}

// history keeps the last samples. Any goroutine reads it; one takes the samples.
type history struct {
	stats func() Stats // static

	mu      sync.Mutex
	samples []Sample // guarded by mu; oldest first
	last    Stats    // guarded by mu: what the latest was taken from
	lastAt  time.Time
}

// run takes samples until ctx ends.
func (h *history) run(ctx context.Context) {
	h.begin(time.Now())
	ticker := time.NewTicker(historyEvery)
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

// begin reads what the first sample is compared with.
func (h *history) begin(now time.Time) {
	stats := h.stats()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last, h.lastAt = stats, now
}

func (h *history) take(now time.Time) {
	stats := h.stats()
	h.mu.Lock()
	defer h.mu.Unlock()
	seconds := now.Sub(h.lastAt).Seconds()
	perSecond := func(of func(*Stats) uint64) float64 { return float64(of(&stats)-of(&h.last)) / seconds }
	if seconds <= 0 {
		return
	}
	if len(h.samples) == historyKept {
		h.samples = append(h.samples[:0], h.samples[1:]...)
	}
	took := stats.DeliveryTimes.since(&h.last.DeliveryTimes)
	h.samples = append(h.samples, Sample{
		P50: took.milliseconds(0.5), P99: took.milliseconds(0.99),
		Busy:        busiest(&stats, &h.last, seconds),
		At:          now.Unix(),
		Connections: stats.Connections,
		Received:    perSecond(func(s *Stats) uint64 { return s.NotificationsReceived }),
		Sent:        perSecond(func(s *Stats) uint64 { return s.DeliveriesSent }),
		Failed:      perSecond(func(s *Stats) uint64 { return sum(s.DeliveriesFailed) }),
		Refused:     perSecond(func(s *Stats) uint64 { return sum(s.ConnectionsRefused) }),
		Closed:      perSecond(func(s *Stats) uint64 { return sum(s.ConnectionsClosed) }),
	})
	h.last, h.lastAt = stats, now
}

// busiest is the largest share of its time that a loop, or the feed, was not asleep.
func busiest(now, before *Stats, seconds float64) float64 {
	most := (now.FeedBusy - before.FeedBusy).Seconds()
	for i, busy := range now.LoopBusy {
		if i < len(before.LoopBusy) {
			most = max(most, (busy - before.LoopBusy[i]).Seconds())
		}
	}
	return most / seconds
}

// after returns the samples taken after a moment, in Unix seconds.
func (h *history) after(since int64) []Sample {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range h.samples {
		if h.samples[i].At > since {
			return append([]Sample{}, h.samples[i:]...)
		}
	}
	return []Sample{} // a list for the page
}

func sum(byReason map[string]uint64) (total uint64) {
	for _, n := range byReason {
		total += n
	}
	return total
}
