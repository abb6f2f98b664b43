package hub

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// clock is a time that tests move.
type clock struct{ ns atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(1_700_000_000, c.ns.Load()) }
func (c *clock) advance(d time.Duration) { c.ns.Add(int64(d)) }
func (c *clock) hub() *Hub {
	return New(Config{Logger: quiet(), Now: c.now, Limits: Limits{MaxNotification: 1000}})
}
func lastTrace(h *Hub, user string) Traced { w := h.Watch(user); return w.Latest[len(w.Latest)-1] }

// tracingConn says of each notification what became of it, as a loop does.
type tracingConn struct {
	fakeConn
	finish func(*Trace)
}

func (c *tracingConn) Deliver(n *Notification) { c.finish(n.Trace) }

func TestWatchTellsEachOutcome(t *testing.T) {
	t.Parallel()
	var clock clock
	h := clock.hub()
	sent := func(trace *Trace) { clock.advance(3 * time.Millisecond); trace.Sent() }
	full := func(trace *Trace) { trace.Failed("queue_full") }
	waits := func(*Trace) {}

	if w := h.Watch("alice"); w.Total != 0 || len(w.Latest) != 0 || !w.Since.Equal(clock.now()) || w.Until.Sub(w.Since) != watchedFor {
		t.Fatalf("before anything came: %+v", w)
	}
	h.Deliver("alice", `{"type":"greeting"}`)
	if got := lastTrace(h, "alice"); got.Problem != "offline" || got.Connections != 0 || got.Bytes != 19 || got.Type != "" {
		t.Errorf("with nobody there: %+v", got)
	}
	for _, finish := range []func(*Trace){sent, full, waits} {
		if _, _, err := h.Admit(&tracingConn{finish: finish}, "alice"); err != nil {
			t.Fatal(err)
		}
	}
	h.Deliver("alice", `{"payload":"a secret","type":"greeting"}`)
	got := lastTrace(h, "alice")
	if got.Type != "greeting" || got.Problem != "" || got.Connections != 3 || got.Sent != 1 || got.Failed["queue_full"] != 1 || got.Queued() != 1 {
		t.Errorf("to three: %+v, queued %d", got, got.Queued())
	}
	if got.Took < 3*time.Millisecond {
		t.Errorf("it took %s", got.Took)
	}
	for payload, problem := range map[string]string{"nonsense": "invalid_json", strings.Repeat("x", 1001): "too_big"} {
		h.Deliver("alice", payload)
		if got := lastTrace(h, "alice"); got.Problem != problem || got.Connections != 0 {
			t.Errorf("%.20q: %+v, want %q", payload, got, problem)
		}
	}
	h.Deliver("bob", `{"type":"not hers"}`)
	if w := h.Watch("alice"); w.Total != 4 || len(w.Latest) != 4 {
		t.Errorf("%d of %d notifications are remembered, want 4 of 4", len(w.Latest), w.Total)
	}
}

func TestWatchIsBounded(t *testing.T) {
	t.Parallel()
	var clock clock
	h := clock.hub()
	h.Watch("alice")
	kind := strings.Repeat("ä", 200)
	for range keptTraces + 5 {
		h.Deliver("alice", `{"type":"x"}`)
	}
	mustAdmit(t, h, "alice")
	h.Deliver("alice", `{"type":"`+kind+`"}`)
	w := h.Watch("alice")
	if w.Total != keptTraces+6 || len(w.Latest) != keptTraces {
		t.Errorf("%d of %d are remembered", len(w.Latest), w.Total)
	}
	if got := w.Latest[keptTraces-1].Type; len(got) > maxTracedKind+3 || !strings.HasPrefix(got, "ää") || !strings.HasSuffix(got, "ä…") {
		t.Errorf("the type is kept as %q", got)
	}
	for i := range maxWatches {
		clock.advance(time.Second)
		h.Watch(fmt.Sprint("user", i))
	}
	if n := len(h.watches.byUser); n != maxWatches {
		t.Errorf("%d are watched", n)
	}
	if h.watches.of("alice", clock.now()) != nil {
		t.Error("alice, who was asked for longest ago, is still watched")
	}
}

func TestWatchEndsByItself(t *testing.T) {
	t.Parallel()
	var clock clock
	h := clock.hub()
	h.Watch("alice")
	clock.advance(watchedFor)
	h.Deliver("alice", "x")
	if w := h.Watch("alice"); w.Total != 1 {
		t.Fatalf("to the last moment: %+v", w)
	}
	clock.advance(watchedFor + 1)
	h.Deliver("bob", "x")
	if h.watches.active.Load() || len(h.watches.byUser) != 0 {
		t.Error("the watch has not ended")
	}
	if w := h.Watch("alice"); w.Total != 0 {
		t.Errorf("a new watch begins with %+v", w)
	}
}

func TestConnsOf(t *testing.T) {
	t.Parallel()
	h := New(Config{Logger: quiet()})
	if some, all := h.ConnsOf("alice", 2); len(some) != 0 || all != 0 {
		t.Errorf("nobody: %d of %d", len(some), all)
	}
	first := mustAdmit(t, h, "alice")
	if some, all := h.ConnsOf("alice", 2); len(some) != 1 || all != 1 || some[0] != Conn(first) {
		t.Errorf("one: %v of %d", some, all)
	}
	mustAdmit(t, h, "alice")
	mustAdmit(t, h, "alice")
	if some, all := h.ConnsOf("alice", 2); len(some) != 2 || all != 3 {
		t.Errorf("three: %d of %d", len(some), all)
	}
}

func TestWatchSeesReplays(t *testing.T) {
	t.Parallel()
	h := resuming(t, Limits{})
	_, _, w, _ := h.Arrive(&client{}, Arrival{User: "other"})
	h.Deliver("alice", numbered(1))
	h.DeliverGroup("g", numbered(2))
	h.Broadcast(numbered(3))
	h.Watch("alice")
	_, _, w, err := h.Arrive(&client{}, Arrival{User: "alice", Groups: []string{"g"}, Since: w.ID})
	if err != nil || len(w.Missed) != 3 {
		t.Fatalf("%+v, %v", w, err)
	}
	seen := h.Watch("alice").Latest
	if len(seen) != 3 {
		t.Fatalf("%+v", seen)
	}
	for i, via := range []string{"", "group g", "everyone"} {
		if got := seen[i]; !got.Replayed || got.Via != via || got.Type != "n" || got.Connections != 1 {
			t.Errorf("number %d: %+v, want it via %q", i, got, via)
		}
	}
}

// A watch may end between the look at who is watched and the delivery.
func TestWatchEndsDuringABroadcast(t *testing.T) {
	t.Parallel()
	h := New(Config{Logger: quiet()})
	b := &broadcast{frame: []byte("x")}
	n := b.notification(0, nil)
	if got := h.traced(n, b, "alice", []string{"alice"}); got != n || len(b.traces) != 0 {
		t.Errorf("%+v, %v", got, b.traces)
	}
}

func TestConcernsAnyConnection(t *testing.T) {
	t.Parallel()
	h := New(Config{Logger: quiet()})
	mustAdmit(t, h, "alice", "g")
	mustAdmit(t, h, "alice", "h")
	mustAdmit(t, h, "bob", "b")
	for group, want := range map[string]bool{"g": true, "h": true, "b": false, "": true} {
		if got := h.concerns(&broadcast{group: group}, "alice"); got != want {
			t.Errorf("%q concerns alice: %v", group, got)
		}
	}
	if h.concerns(&broadcast{}, "carol") {
		t.Error("everyone's concerns carol, who is not here")
	}
}

func TestTraceEnds(t *testing.T) {
	t.Parallel()
	var clock clock
	h := clock.hub()
	h.Watch("alice")
	trace := h.NewTrace("alice", 1)
	trace.goes(`"x"`, 2)
	trace.Sent()
	trace.Unacknowledged()
	trace.Failed("closed")
	if got := trace.read(); got.Sent != 1 || got.Unacknowledged != 1 || got.Failed["closed"] != 1 || got.Queued() != 0 {
		t.Errorf("%+v", got)
	}
	var nobody *Trace // of those who are not watched
	nobody.Sent()
	nobody.Unacknowledged()
	nobody.Failed("closed")
	if got := h.Watch("alice"); got.Total != 1 {
		t.Errorf("%+v", got)
	}
}
