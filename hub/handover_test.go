package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// memories is the memory of rings, by descriptor.
type memories [][]byte

// resume is a hub's part of the configuration, with memory of a size, that another hub can go on with.
func (m *memories) resume(size int) Resume {
	*m = append(*m, make([]byte, size))
	return Resume{
		Memory: (*m)[len(*m)-1], Window: time.Minute, Descriptor: len(*m),
		Map: func(descriptor int) ([]byte, func(), error) { return (*m)[descriptor-1], func() {}, nil },
	}
}

// goOn hands what a hub knows over to another one, with its connections.
func goOn(t testing.TB, old, next *Hub) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := old.HoldBroadcasts(ctx); err != nil {
		t.Fatal(err)
	}
	if err := old.Export(func(section []byte, descriptors []int) error { return next.Import(section, descriptors) }); err != nil {
		t.Fatal(err)
	}
	if err := next.FinishImport(); err != nil {
		t.Fatal(err)
	}
	old.Members(func(c Conn, state []byte) {
		user := c.HubLink().User()
		switch c := c.(type) { // in another process it would be another object
		case *client:
			c.link = Link{}
		case *fakeConn:
			c.link = Link{}
		}
		if err := next.Join(c, user, state); err != nil {
			t.Error(err)
		}
	})
	old.Commit()
}

// what of an envelope does not depend on when it was built.
func same(t testing.TB, n *Notification) string {
	t.Helper()
	if n.Frame == nil {
		return fmt.Sprint("lost ", n.Lost)
	}
	var e struct {
		Type    string
		Payload int
		ID      string
	}
	frame := string(n.Frame)
	if err := json.Unmarshal([]byte(frame[strings.IndexByte(frame, '{'):]), &e); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(e.Type, e.Payload, e.ID)
}

func all(t testing.TB, some []*Notification) (texts []string) {
	for _, n := range some {
		texts = append(texts, same(t, n))
	}
	return texts
}

// rehearsal is what happens to hubs that hear the same.
type rehearsal struct {
	random *rand.Rand
	hubs   []*Hub // of which the first is handed over now and then, to another one in its place
	conns  map[string][]*client
	away   map[string]string // the position from which a user comes back
	number int
	held   bool // the first hub's broadcasts are held
}

// step has something random happen, to all alike.
func (r *rehearsal) step(t *testing.T) {
	user := fmt.Sprint("user", r.random.IntN(6))
	groups := []string{"g" + user[4:5], "all"}[:1+r.random.IntN(2)]
	kind, group := r.random.IntN(10), fmt.Sprint("g", r.random.IntN(6))
	r.number++
	payload := numbered(r.number)
	switch here := r.conns[user] != nil; {
	case kind < 2 && !here:
		r.arrive(t, user, groups)
		return
	case kind == 0 && !r.held:
		r.leave(t, user)
		return
	}
	for _, h := range r.hubs {
		switch {
		case kind == 2 && r.number%40 == 0:
			h.Marker(fmt.Sprint("m", r.number), false)
		case kind == 2 && r.number%40 == 1:
			h.Marker(fmt.Sprint("m", r.number-1), true)
		case kind == 3 && r.number%3 == 0:
			h.regroup(user, []string{"all"}, []string{group})
		case kind < 6:
			h.Deliver(user, payload)
		case kind < 7:
			h.Broadcast(payload)
		case kind < 8:
			h.DeliverGroup("all", payload)
		default:
			h.DeliverGroup(group, payload)
		}
	}
}

// arrive registers a connection at each hub, from where the user left; both are told the same.
func (r *rehearsal) arrive(t *testing.T, user string, groups []string) {
	var welcomes []string
	for _, h := range r.hubs {
		c := &client{}
		_, _, w, err := h.Arrive(c, Arrival{User: user, Groups: groups, Since: r.away[user]})
		if err != nil {
			t.Fatal(err)
		}
		welcomes = append(welcomes, fmt.Sprint(w.ID, w.Result, all(t, w.Missed)))
		r.conns[user] = append(r.conns[user], c)
	}
	if welcomes[0] != welcomes[1] {
		t.Fatalf("%s is told %s, want %s", user, welcomes[0], welcomes[1])
	}
}

// leave removes them, once they have had the same.
func (r *rehearsal) leave(t *testing.T, user string) {
	r.compare(t, user)
	for i, c := range r.conns[user] {
		if p, ok := r.hubs[i].Position(c); ok {
			r.away[user] = p.String()
		}
		r.hubs[i].Remove(c)
	}
	delete(r.conns, user)
}

// compare waits until both have had what waited for everyone, and compares what they had.
func (r *rehearsal) compare(t *testing.T, user string) {
	t.Helper()
	for _, h := range r.hubs {
		waitUntil(t, "the broadcasts", done(h))
	}
	got, want := all(t, r.conns[user][0].take()), all(t, r.conns[user][1].take())
	if !slices.Equal(got, want) {
		t.Fatalf("%s got\n%q, want\n%q", user, got, want)
	}
}

// A hub that is handed over again and again says and delivers what one does that never is: each connection the same, in the
// same order, with the same ids; and whoever comes back gets what was missed.
func TestHandoverAgainstOneThatStays(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			var m memories
			sizes := []int{2 << 20, 2 << 20, 4 << 20}
			fresh := func(size int) *Hub {
				return New(Config{Logger: quiet(), Resume: m.resume(size)})
			}
			r := &rehearsal{
				random: rand.New(rand.NewPCG(seed, 9)), hubs: []*Hub{fresh(2 << 20), fresh(2 << 20)},
				conns: map[string][]*client{}, away: map[string]string{},
			}
			for _, h := range r.hubs {
				h.Marker("begin", false)
				broadcasting(t, h)
			}
			for i := range 1500 {
				r.step(t)
				if i%120 == 100 {
					next := fresh(sizes[r.random.IntN(len(sizes))])
					goOn(t, r.hubs[0], next)
					r.hubs[0] = next
					broadcasting(t, next)
				}
				if i%200 == 150 { // one that fails is noticed by nobody
					if err := r.hubs[0].HoldBroadcasts(t.Context()); err != nil {
						t.Fatal(err)
					}
					other := fresh(2 << 20)
					if err := r.hubs[0].Export(other.Import); err != nil {
						t.Fatal(err)
					}
					other.DiscardImport()
					r.held = true
					for range 10 {
						r.step(t)
					}
					r.held = false
					r.hubs[0].LetBroadcasts()
				}
			}
			for user := range r.conns {
				r.compare(t, user)
			}
		})
	}
}

// Without resume what waits goes over as well, each once.
func TestHandoverOfBroadcasts(t *testing.T) {
	t.Parallel()
	old, next := New(Config{Logger: quiet()}), New(Config{Logger: quiet()})
	broadcasting(t, old)
	var conns []*fakeConn
	for i := range 300 {
		conns = append(conns, mustAdmit(t, old, fmt.Sprint("user", i), "g"))
	}
	old.Broadcast(numbered(0))
	if err := old.HoldBroadcasts(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		old.Broadcast(numbered(1 + i))
		old.DeliverGroup("g", numbered(101+i))
	}
	begun := conns[0].count()
	for _, c := range conns {
		if c.count() != begun {
			t.Fatalf("%d and %d of what has begun", c.count(), begun)
		}
	}
	goOn(t, old, next)
	if n := next.Stats().BroadcastsWaiting; n+begun != 21 {
		t.Errorf("%d wait, %d were delivered", n, begun)
	}
	broadcasting(t, next)
	waitUntil(t, "the broadcasts", done(next))
	for _, c := range conns {
		if c.count() != 21 {
			t.Fatalf("%d came", c.count())
		}
	}
	stats := old.Stats()
	if n := stats.dropped(); n != 0 {
		t.Errorf("%d count as dropped", n)
	}
}

// A loss before the handover is told behind it, in its place.
func TestHandoverOfLosses(t *testing.T) {
	t.Parallel()
	var m memories
	old, next := New(Config{Logger: quiet(), Resume: m.resume(4 << 20)}), New(Config{Logger: quiet(), Resume: m.resume(4 << 20)})
	broadcasting(t, old)
	c := &client{}
	if _, _, _, err := old.Arrive(c, Arrival{User: "alice"}); err != nil {
		t.Fatal(err)
	}
	if err := old.HoldBroadcasts(t.Context()); err != nil {
		t.Fatal(err)
	}
	const dropped = 5
	for i := range maxBroadcasts + dropped {
		old.Broadcast(numbered(i))
	}
	goOn(t, old, next)
	if p, ok := next.Position(c); !ok || p.Count != 0 {
		t.Errorf("the connection is at %s, and has a loss to be told", p)
	}
	broadcasting(t, next)
	waitUntil(t, "the broadcasts", done(next))
	got := c.take()
	if len(got) != maxBroadcasts+1 || got[0].Lost != LostBroadcast || receive(t, got[1]).Payload != dropped {
		t.Errorf("%d came, first %+v", len(got), got[0])
	}
	waitUntil(t, "the position", func() bool { p, ok := next.Position(c); return ok && p.Count == maxBroadcasts+dropped })
}

// Broadcasts that do not end hold nothing up for longer than their time, and go on.
func TestHoldBroadcastsInTime(t *testing.T) {
	t.Parallel()
	h := New(Config{Logger: quiet()})
	release := stall(t, h)
	c := mustAdmit(t, h, "alice")
	h.Broadcast(numbered(1))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.HoldBroadcasts(ctx); err == nil || !strings.Contains(err.Error(), "do not end") {
		t.Errorf("held: %v", err)
	}
	release()
	waitUntil(t, "the broadcast", func() bool { return c.count() == 1 })
}

// A hub refuses a state with which it could not go on, and says why.
func TestImportRefuses(t *testing.T) {
	t.Parallel()
	var m memories
	old := New(Config{Logger: quiet(), Resume: m.resume(MinResumeMemory)})
	old.Broadcast(numbered(1))
	if err := old.HoldBroadcasts(t.Context()); err != nil {
		t.Fatal(err)
	}
	var whole []byte
	if err := old.Export(func(section []byte, _ []int) error { whole = append(whole, section...); return nil }); err != nil {
		t.Fatal(err)
	}
	for says, test := range map[string]struct {
		resume  Resume
		section []byte
	}{
		"WS_RESUME_WINDOW": {section: whole},
		"version 5":        {resume: m.resume(MinResumeMemory), section: append([]byte{5}, whole[1:]...)},
		"ends too early":   {resume: m.resume(MinResumeMemory), section: whole[:len(whole)-1]},
		"more":             {resume: m.resume(MinResumeMemory), section: append(slices.Clone(whole), 1)},
	} {
		h := New(Config{Logger: quiet(), Resume: test.resume})
		if err := h.Import(test.section, nil); err != nil {
			t.Fatal(err)
		}
		if err := h.FinishImport(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", says, err)
		}
	}
}

// FuzzImport gives a hub states that none has written: it refuses them, or goes on.
func FuzzImport(f *testing.F) {
	for _, resumes := range []bool{false, true} {
		var m memories
		cfg := Config{Logger: quiet(), GapNotice: true}
		if resumes {
			cfg.Resume = m.resume(MinResumeMemory)
		}
		h := New(cfg)
		for i := range maxBroadcasts + 2 {
			h.Broadcast(numbered(i))
		}
		h.broadcasts.hold()
		if err := h.Export(func(section []byte, _ []int) error { f.Add(section, resumes); return nil }); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, section []byte, resumes bool) {
		var m memories
		cfg := Config{Logger: quiet(), GapNotice: true}
		if resumes {
			cfg.Resume = m.resume(MinResumeMemory)
		}
		h := New(cfg)
		if h.Import(section, []int{1}[:len(m)]) != nil || h.FinishImport() != nil {
			return
		}
		h.Deliver("alice", numbered(1))
		h.Broadcast(numbered(2))
		go h.RunBroadcasts(func() {})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if h.EndBroadcasts(ctx); ctx.Err() != nil {
			t.Error("broadcasts do not end")
		}
	})
}
