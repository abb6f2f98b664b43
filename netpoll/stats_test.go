package netpoll

import (
	"slices"
	"testing"
	"time"

	"roost/hub"
)

// The numbers of the loops can be read, whatever they do and for however long; and to read them takes no loop's
// turn.
func TestStatsWhileEveryLoopIsHeld(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	var before []time.Duration
	for _, l := range r.server.loops {
		release := l.hold()
		defer release()
		before = append(before, l.busy.Total(r.server.now))
		l.mail.Push(delivery{&conn{loop: l, state: stateClosed}, &hub.Notification{}}, 0, true)
	}
	read := make(chan Stats)
	go func() { _ = r.hub.Stats(); read <- r.server.Stats() }()
	var s Stats
	select {
	case s = <-read:
	case <-time.After(patience):
		t.Fatal("Stats waits for a loop")
	}
	for i := range r.server.loops {
		if s.Mailbox[i] != 1 {
			t.Errorf("%d items wait for loop %d, want 1", s.Mailbox[i], i)
		}
		if s.Busy[i] <= before[i] {
			t.Errorf("loop %d is held and was busy for %s, then %s", i, before[i], s.Busy[i])
		}
	}
}

// BenchmarkStats is what a scrape reads here. It does not depend on connections.
func BenchmarkStats(b *testing.B) {
	r := start(b, func(c *Config) { c.Loops = 16 })
	for b.Loop() {
		r.server.Stats()
	}
}

func TestBoundsAscend(t *testing.T) {
	t.Parallel()
	if !slices.IsSorted(deliveryBounds[:]) || !slices.IsSorted(handshakeBounds[:]) {
		t.Error("not in order")
	}
}
