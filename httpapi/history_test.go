package httpapi

import (
	"context"
	"testing"
	"time"
)

func TestHistory(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	stats := Stats{Connections: 1}
	h := &history{stats: func() Stats { return stats }}
	h.begin(now)
	h.take(now) // no time has passed: nothing can be said of a second
	if got := h.after(0); got == nil || len(got) != 0 {
		t.Fatalf("at the beginning: %v", got)
	}
	stats = Stats{
		Connections: 7, NotificationsReceived: 50, DeliveriesSent: 30,
		DeliveriesFailed:   map[string]uint64{"a": 5, "b": 5},
		ConnectionsRefused: map[string]uint64{"a": 20}, ConnectionsClosed: map[string]uint64{"a": 40},
	}
	now = now.Add(10 * time.Second)
	h.take(now)
	want := Sample{At: now.Unix(), Connections: 7, Received: 5, Sent: 3, Failed: 1, Refused: 2, Closed: 4}
	if got := h.after(0); len(got) != 1 || got[0] != want {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	for range historyKept {
		now = now.Add(historyEvery)
		h.take(now)
	}
	got := h.after(0)
	if len(got) != historyKept || got[historyKept-1].At != now.Unix() || got[0].Received != 0 {
		t.Errorf("%d samples from %+v to %+v", len(got), got[0], got[len(got)-1])
	}
	if got := h.after(now.Unix() - 10); len(got) != 1 || got[0].At != now.Unix() {
		t.Errorf("after the last but one: %+v", got)
	}
	if got := h.after(now.Unix()); len(got) != 0 {
		t.Errorf("after the last: %+v", got)
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
