package hub

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// broadcasting runs a hub's broadcasts until the end of the test.
func broadcasting(t *testing.T, h *Hub) {
	t.Helper()
	go h.RunBroadcasts(func() {})
	t.Cleanup(func() { h.EndBroadcasts(context.Background()) })
}

// waitUntil waits for what must happen.
func waitUntil(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// dropped is how many broadcasts were dropped, for all reasons.
func (s *Stats) dropped() (n uint64) {
	for _, of := range s.BroadcastsDropped {
		n += of
	}
	return n
}

func done(h *Hub) func() bool { return func() bool { return h.Stats().BroadcastsWaiting == 0 } }

func TestBroadcastReachesEveryConnectionOnce(t *testing.T) {
	t.Parallel()
	h := New(Config{Logger: quiet()})
	broadcasting(t, h)
	var conns []*fakeConn
	for i := range 1_000 { // on every shard; of every tenth user many
		for range 1 + 3*(i%10/9) {
			conns = append(conns, mustAdmit(t, h, fmt.Sprint("user-", i)))
		}
	}
	probe, left := mustAdmit(t, h, "\x00probe"), mustAdmit(t, h, "left")
	h.Remove(left)
	const total = 5
	for n := range total {
		h.Broadcast(fmt.Sprintf(`{"type":"n","payload":%d}`, n))
	}
	waitUntil(t, "the broadcasts", done(h))
	for i, c := range conns {
		if len(c.got) != total {
			t.Fatalf("connection %d got %d, want %d", i, len(c.got), total)
		}
		for n, frame := range c.got {
			if !strings.Contains(frame, fmt.Sprintf(`{"type":"n","payload":%d,"timestamp":"`, n)) {
				t.Fatalf("connection %d: number %d is %q", i, n, frame)
			}
		}
	}
	if probe.count() != 0 || left.count() != 0 {
		t.Errorf("a health check got %d, and one that had left %d", probe.count(), left.count())
	}
	if s := h.Stats(); s.Broadcasts != total || s.Received != 0 || s.GroupNotifications != 0 || s.dropped() != 0 || s.BroadcastTime <= 0 {
		t.Errorf("%+v", s)
	}
}

func TestGroupNotificationsReachTheMembers(t *testing.T) {
	t.Parallel()
	h := New(Config{Limits: Limits{MaxPerUser: 1, ReplaceOldest: true}, Logger: quiet()})
	broadcasting(t, h)
	both, admin, none := mustAdmit(t, h, "a", "admins", "staff"), mustAdmit(t, h, "b", "admins"), mustAdmit(t, h, "c")
	left, replaced, shown := mustAdmit(t, h, "d", "admins"), mustAdmit(t, h, "e", "admins"), mustAdmit(t, h, "f", "admins")
	h.Remove(left)
	newer := mustAdmit(t, h, "e", "staff")
	h.Control("f", `{"disconnect":{}}`)

	h.DeliverGroup("admins", `{"type":"x"}`)
	h.DeliverGroup("staff", `{"type":"x"}`)
	h.DeliverGroup("staff", `{"type":"x"}`)
	h.DeliverGroup("nobody", `not looked at`)
	h.DeliverGroup("", `not looked at`)
	waitUntil(t, "the notifications", done(h))
	for name, got := range map[string][2]int{
		"in both": {both.count(), 3}, "an admin": {admin.count(), 1}, "in none": {none.count(), 0}, "left": {left.count(), 0},
		"replaced": {replaced.count(), 0}, "the newer": {newer.count(), 2}, "disconnected": {shown.count(), 0},
	} {
		if got[0] != got[1] {
			t.Errorf("%s: %d, want %d", name, got[0], got[1])
		}
	}
	if s := h.Stats(); s.GroupNotifications != 5 || s.GroupsOffline != 2 || s.Invalid["invalid_json"] != 0 || s.Broadcasts != 0 {
		t.Errorf("%+v", s)
	}
}

// A group without a name has no members, and is not everyone: neither now nor for those who come back.
func TestGroupWithoutAName(t *testing.T) {
	t.Parallel()
	for _, h := range []*Hub{New(Config{Logger: quiet()}), resuming(t, Limits{})} {
		c := mustAdmit(t, h, "alice", "")
		broadcasting(t, h)
		h.DeliverGroup("", `{"type":"x"}`)
		waitUntil(t, "what waits", done(h))
		if s := h.Stats(); c.count() != 0 || s.GroupsOffline != 1 || s.Broadcasts != 0 {
			t.Errorf("resumes %v: alice got %d; %+v", h.Resumes(), c.count(), s)
		}
	}
	h := resuming(t, Limits{})
	arrive := func(since string) Welcome {
		_, _, w, err := h.Arrive(&client{}, Arrival{User: "alice", Since: since})
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	before := arrive("").ID
	h.DeliverGroup("", `{"type":"x"}`)
	if w := arrive(before); w.Result != ResumeDone || len(w.Missed) != 0 {
		t.Errorf("who comes back gets %+v", w)
	}
}

func TestInvalidBroadcastsAreCounted(t *testing.T) {
	t.Parallel()
	h := New(Config{Limits: Limits{MaxNotification: 40}, Logger: quiet()})
	broadcasting(t, h)
	c := mustAdmit(t, h, "alice", "staff")
	for _, payload := range []string{"", "{", `{"payload":1}`, `{"type":1}`, `[]`, "\"\xff\"", `{"type":"` + strings.Repeat("x", 40) + `"}`} {
		h.Broadcast(payload)
		h.DeliverGroup("staff", payload)
	}
	h.Broadcast(`{"type":"x"}`)
	waitUntil(t, "the valid one", done(h))
	var invalid uint64
	for _, n := range h.Stats().Invalid {
		invalid += n
	}
	if invalid != 14 || c.count() != 1 {
		t.Errorf("%d were invalid, want 14, and %d came, want 1", invalid, c.count())
	}
}

// TestBroadcastsLetOthersWork: pause is called after each chunk, and when nothing waits any more.
func TestBroadcastsLetOthersWork(t *testing.T) {
	t.Parallel()
	h := New(Config{Logger: quiet()})
	const connections = 3*broadcastChunk + 10
	conns := make([]countingConn, connections)
	for i := range conns {
		if _, _, err := h.Admit(&conns[i], fmt.Sprint("user-", i), "staff"); err != nil {
			t.Fatal(err)
		}
	}
	handed := func() (n int) {
		for i := range conns {
			n += conns[i].n
		}
		return n
	}
	var chunks []int
	last := 0
	h.Broadcast(`{"type":"x"}`)
	h.DeliverGroup("staff", `{"type":"x"}`)
	go h.EndBroadcasts(t.Context())
	h.RunBroadcasts(func() {
		now := handed()
		chunks = append(chunks, now-last)
		last = now
	})
	if last != 2*connections {
		t.Errorf("paused after %d, want %d", last, 2*connections)
	}
	for i, n := range chunks {
		if n > broadcastChunk || n < broadcastChunk && i < len(chunks)-1 { // the first goes on where the second begins
			t.Errorf("chunk %d had %d, want %d", i, n, broadcastChunk)
		}
	}
}

func TestEndHandsOverWhatWaits(t *testing.T) {
	t.Parallel()
	h := New(Config{Logger: quiet()})
	c := mustAdmit(t, h, "alice")
	for range 10 {
		h.Broadcast(`{"type":"x"}`)
	}
	go h.RunBroadcasts(func() {})
	h.EndBroadcasts(t.Context())
	h.Broadcast(`{"type":"x"}`) // too late
	if s := h.Stats(); c.count() != 10 || s.BroadcastsWaiting != 0 || s.BroadcastsDropped["shutdown"] != 1 {
		t.Errorf("%d came, want 10; %+v", c.count(), s)
	}
}

// stuckConn takes nothing until it is let.
type stuckConn struct {
	countingConn
	entered, let chan struct{}
}

func (c *stuckConn) Deliver(n *Notification) {
	c.entered <- struct{}{}
	<-c.let
	c.countingConn.Deliver(n)
}

// A loss that comes so soon after a notice that the next is not due yet is told at the end.
func TestEndTellsOfLosses(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	h := New(Config{Logger: quiet(), GapNotice: true, Now: func() time.Time { return now }})
	alice := mustAdmit(t, h, "alice", "g")
	for range maxBroadcasts + 1 {
		h.DeliverGroup("g", `{"type":"n"}`)
	}
	go h.RunBroadcasts(func() {})
	waitUntil(t, "the first notice", func() bool { return alice.count() == maxBroadcasts })
	h.turn.Lock()
	now = now.Add(100 * time.Millisecond)
	for range maxBroadcasts + 10 {
		h.DeliverGroup("g", `{"type":"n"}`)
	}
	h.turn.Unlock()
	h.EndBroadcasts(t.Context())
	if !slices.Equal(alice.missed, []time.Time{now.Add(-100 * time.Millisecond), now}) {
		t.Errorf("told of %v", alice.missed)
	}
}

// TestEndCutsWhatThereIsNoTimeFor: what is not handed over is counted.
func TestEndCutsWhatThereIsNoTimeFor(t *testing.T) {
	t.Parallel()
	h := New(Config{Logger: quiet()})
	first, second := &stuckConn{entered: make(chan struct{}, 9), let: make(chan struct{})}, new(countingConn)
	for _, c := range []Conn{first, second} { // in this order
		if _, _, err := h.Admit(c, "alice"); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 {
		h.Broadcast(`{"type":"x"}`)
	}
	returned := make(chan struct{})
	go func() {
		h.RunBroadcasts(func() {})
		close(returned)
	}()
	<-first.entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h.EndBroadcasts(ctx) // does not wait
	close(first.let)
	<-returned
	if s := h.Stats(); s.BroadcastsDropped["shutdown"] != 10 || s.BroadcastsWaiting != 0 || first.n != 1 || second.n != 0 {
		t.Errorf("%d and %d came; %+v", first.n, second.n, s)
	}
}

func TestWatchSeesBroadcasts(t *testing.T) {
	t.Parallel()
	h := New(Config{Logger: quiet()})
	broadcasting(t, h)
	for range 2 {
		if _, _, err := h.Admit(&tracingConn{finish: func(t *Trace) { t.Sent() }}, "alice", "staff"); err != nil {
			t.Fatal(err)
		}
	}
	other := mustAdmit(t, h, "bob", "staff")
	h.Watch("alice")
	h.Broadcast(`{"type":"all"}`)
	h.DeliverGroup("staff", `{"type":"some"}`)
	h.DeliverGroup("others", `{"type":"none"}`)
	waitUntil(t, "them", done(h))
	w := h.Watch("alice")
	if w.Total != 2 || len(w.Latest) != 2 || other.count() != 2 {
		t.Fatalf("%+v, and bob got %d", w, other.count())
	}
	for i, want := range []Traced{{Type: "all", Via: "everyone"}, {Type: "some", Via: "group staff"}} {
		if got := w.Latest[i]; got.Type != want.Type || got.Via != want.Via || got.Connections != 2 || got.Sent != 2 || got.Queued() != 0 || got.Bytes == 0 {
			t.Errorf("%+v", got)
		}
	}
}

// TestWatchSeesDroppedBroadcasts of the user's groups and of everyone, and no others.
func TestWatchSeesDroppedBroadcasts(t *testing.T) {
	t.Parallel()
	h := New(Config{Logger: quiet()})
	for range 2 {
		mustAdmit(t, h, "alice", "staff")
	}
	mustAdmit(t, h, "bob", "others")
	h.Watch("alice")
	h.Watch("carol") // who is not here
	for range maxBroadcasts + 1 {
		h.DeliverGroup("others", `{"type":"x"}`)
		h.DeliverGroup("staff", `{"type":"some"}`)
		h.Broadcast(`{"type":"all"}`)
	}
	w := h.Watch("alice")
	if w.Total != 2 || len(w.Latest) != 2 || h.Watch("carol").Total != 0 {
		t.Fatalf("%+v", w)
	}
	for i, want := range []Traced{{Type: "some", Via: "group staff"}, {Type: "all", Via: "everyone"}} {
		if got := w.Latest[i]; got.Type != want.Type || got.Via != want.Via || got.Problem != ProblemDropped || got.Connections != 0 || got.Bytes == 0 {
			t.Errorf("%+v", got)
		}
	}
}

// The memory of a very large shard is not kept for the next broadcast.
func TestLargeShardIsNotKept(t *testing.T) {
	t.Parallel()
	for conns, kept := range map[int]bool{10: true, maxBatch + 1: false} {
		h := New(Config{Logger: quiet()})
		for range conns {
			mustAdmit(t, h, "alice") // all in one shard
		}
		r, n := &broadcaster{hub: h}, 0
		for b, more := (&broadcast{}), true; more; r.forget() {
			more = r.collectAll(b, broadcastChunk)
			n += len(r.conns)
		}
		if n != conns || (cap(r.shard) > 0) != kept {
			t.Errorf("%d of %d connections; memory for %d is kept", n, conns, cap(r.shard))
		}
	}
}
