package httpapi

import (
	"context"
	"reflect"
	"testing"
	"time"
)

func TestHistory(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	stats := Stats{Connections: 1, LoopBusy: []time.Duration{time.Second, 0}}
	h := &history{stats: func() Stats { return stats }}
	h.begin(now)
	h.take(now) // no time has passed: nothing can be said of a second
	if got := h.after(0, 0); got == nil || len(got) != 0 {
		t.Fatalf("at the beginning: %v", got)
	}
	stats = Stats{
		Connections: 7, NotificationsReceived: 50, DeliveriesSent: 30,
		DeliveriesFailed:   map[string]uint64{"a": 5, "b": 5},
		ConnectionsRefused: map[string]uint64{"a": 20}, ConnectionsClosed: map[string]uint64{"a": 40},
		LoopBusy: []time.Duration{3500 * time.Millisecond, 5 * time.Second}, FeedBusy: time.Second,
	}
	now = now.Add(10 * time.Second)
	h.take(now)
	want := Sample{At: now.Unix(), Connections: 7, Received: 5, Sent: 3, Failed: 1, Refused: 2, Closed: 4, Busy: 0.5, Loops: []float64{0.25, 0.5}}
	if got := h.after(0, 0); len(got) != 1 || !reflect.DeepEqual(got[0], want) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	for range historyKept {
		now = now.Add(10 * time.Second)
		h.take(now)
	}
	got := h.after(0, 0)
	if len(got) != historyKept || got[historyKept-1].At != now.Unix() || got[0].Received != 0 {
		t.Errorf("%d samples from %+v to %+v", len(got), got[0], got[len(got)-1])
	}
	if got := h.after(0, now.Unix()-10); len(got) != 1 || got[0].At != now.Unix() {
		t.Errorf("after the last but one: %+v", got)
	}
	if got := h.after(0, now.Unix()); len(got) != 0 {
		t.Errorf("after the last: %+v", got)
	}
}

// Each range has its own samples, and each of them what happened since the one before.
func TestHistoryRanges(t *testing.T) {
	t.Parallel()
	began := time.Unix(1_700_000_000, 0)
	stats := Stats{}
	h := &history{stats: func() Stats { return stats }}
	h.begin(began)
	const ticks = 26 * 360 // 26 hours of them, each a moment early or late
	for i := range ticks {
		stats.NotificationsReceived += 20
		h.take(began.Add(time.Duration(i+1)*10*time.Second + time.Duration(i%5-2)*300*time.Millisecond))
	}
	for i, r := range historyRanges {
		got := h.after(i, 0)
		if want := min(historyKept, int(ticks*10*time.Second/r.every)); len(got) < want-2 || len(got) > want+2 {
			t.Errorf("%s: %d samples, want %d", r.name, len(got), want)
		}
		span := time.Duration(got[len(got)-1].At-got[0].At) * time.Second
		if want := time.Duration(len(got)-1) * r.every; span < want-want/50 || span > want+want/50 {
			t.Errorf("%s: %s from the first to the last, want %s", r.name, span, want)
		}
		for _, s := range got {
			if s.Received < 1.7 || s.Received > 2.4 {
				t.Fatalf("%s: %f a second", r.name, s.Received)
			}
		}
	}
}

// The history ends with the server.
func TestHistoryEnds(t *testing.T) {
	t.Parallel()
	h := &history{stats: someStats}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h.run(ctx) // or the test does not end
}
