package hub

import (
	"context"
	"testing"
	"time"
)

func TestMarksGoRound(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		mark, ordinal uint32
		had           bool
	}{
		{5, 5, true}, {5, 4, true}, {5, 6, false}, {1<<32 - 1, 0, false}, {0, 1<<32 - 1, true}, {1<<32 - 3, 4, false},
	} {
		if got := had(tc.mark, tc.ordinal); got != tc.had {
			t.Errorf("a connection with mark %d has had %d: %v", tc.mark, tc.ordinal, got)
		}
	}
}

// A connection that gets nothing for very long must not seem to have had what is new.
func TestOldMarksAreRefreshed(t *testing.T) {
	t.Parallel()
	h := resuming(t, Limits{})
	idle, busy := &client{}, &client{}
	for _, c := range []*client{idle, busy} {
		if _, _, _, err := h.Arrive(c, Arrival{User: "alice"}); err != nil {
			t.Fatal(err)
		}
	}
	const now = 3 << 30 // with a mark of 0 it looks older than that
	busy.link.mark = now - 5
	h.refreshMarks(1<<31 - 1)
	h.refreshMarks(now - 1<<30 + 1)
	h.refreshMarks(now)
	if had(idle.link.mark, now+1) || busy.link.mark != now-5 {
		t.Errorf("the marks are %d and %d", idle.link.mark, busy.link.mark)
	}
}

// With Config.Resume a position is given out only while nothing waits: what is invalid must not be waited for.
func TestInvalidBroadcastHoldsNoPosition(t *testing.T) {
	t.Parallel()
	h := resuming(t, Limits{})
	c := &client{}
	if _, _, _, err := h.Arrive(c, Arrival{User: "alice", Groups: []string{"g"}}); err != nil {
		t.Fatal(err)
	}
	h.Broadcast("not JSON")
	h.DeliverGroup("g", `{"type":7}`)
	if _, ok := h.Position(c); !ok || !h.Resumes() {
		t.Error("no position: something is waited for that never comes")
	}
}

// Resuming or not, what there is no time for is dropped and counted.
func TestEndCutsBroadcastsInOrder(t *testing.T) {
	t.Parallel()
	h := resuming(t, Limits{})
	c := &client{}
	if _, _, _, err := h.Arrive(c, Arrival{User: "alice"}); err != nil {
		t.Fatal(err)
	}
	h.Broadcast(numbered(1))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	h.EndBroadcasts(ended)
	h.RunBroadcasts(func() {})
	if got := h.Stats().BroadcastsDropped["shutdown"]; got != 1 || len(c.take()) != 0 {
		t.Errorf("%d dropped, want the one", got)
	}
}

// The turn of a broadcast refreshes the marks of connections that it is not for.
func TestBroadcastsRefreshMarks(t *testing.T) {
	t.Parallel()
	h := resuming(t, Limits{})
	idle, busy := &client{}, &client{}
	for c, a := range map[*client]Arrival{idle: {User: "idle"}, busy: {User: "busy", Groups: []string{"g"}}} {
		if _, _, _, err := h.Arrive(c, a); err != nil {
			t.Fatal(err)
		}
	}
	h.stream.ordinal = staleMark + 100 // as after so many broadcasts
	busy.link.mark = h.stream.ordinal
	broadcasting(t, h)
	h.DeliverGroup("g", numbered(1))
	waitUntil(t, "the notification", done(h))
	h.EndBroadcasts(context.Background())
	if now := h.stream.ordinal; len(busy.take()) != 1 || idle.link.mark != now-staleMark {
		t.Errorf("behind %d the mark of the idle one is %d, want %d", now, idle.link.mark, now-staleMark)
	}
}

func TestOrderLoses(t *testing.T) {
	t.Parallel()
	at := func(second int64) time.Time { return time.Unix(second, 0) }
	put := func(ordinal uint32, second int64) *broadcast {
		return &broadcast{group: "g", ordinal: ordinal, from: ordinal, since: at(second), frame: []byte("x")}
	}
	o := order{flows: make(map[string][]*broadcast)}
	one, two, three, four := put(1, 10), put(2, 20), put(3, 15), put(4, 5)
	for _, b := range []*broadcast{one, two, three, four} {
		o.add(b)
	}
	for _, step := range []struct {
		lost    *broadcast
		entries int
		since   time.Time // of the only loss
		last    uint32
	}{
		{two, 4, at(20), 2},
		{two, 4, at(20), 2}, // it is not in any more
		{three, 3, at(15), 3},
		{four, 2, at(5), 4},
	} {
		o.lose(step.lost)
		list := o.flows["g"]
		if len(list) != step.entries {
			t.Fatalf("losing %d: %d entries; want %d", step.lost.ordinal, len(list), step.entries)
		}
		if loss := list[1]; loss.loss != LostBroadcast || !loss.lost.Equal(step.since) || loss.from != 2 || loss.ordinal != step.last {
			t.Errorf("losing %d: %+v", step.lost.ordinal, loss)
		}
	}
	if o.remove(two) || !o.remove(one) || o.remove(one) {
		t.Error("one can be removed once, and two is lost")
	}
	if !earlier(at(2), at(1)).Equal(at(1)) || !earlier(at(1), at(2)).Equal(at(1)) {
		t.Error("not the earlier time")
	}
}
