package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"roost/hub/internal/ring"
	"roost/internal/position"
	"roost/wsproto"
)

// resuming is a hub whose clients can resume.
func resuming(t testing.TB, limits Limits) *Hub {
	t.Helper()
	return New(Config{Logger: quiet(), Limits: limits, Resume: Resume{Memory: make([]byte, 4<<20), Window: time.Minute}})
}

// client is a connection that keeps what it is handed.
type client struct {
	link Link
	mu   sync.Mutex
	got  []*Notification // guarded by mu
}

func (c *client) HubLink() *Link                               { return &c.link }
func (c *client) Replaced()                                    {}
func (c *client) Disconnect(wsproto.CloseCode, string, string) {}
func (c *client) Missed(time.Time)                             { panic("losses are told in order") }

func (c *client) Deliver(n *Notification) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, n)
}

func (c *client) take() []*Notification {
	c.mu.Lock()
	defer c.mu.Unlock()
	got := c.got
	c.got = nil
	return got
}

// received is an envelope of a notification {"type":"n","payload":1}.
type received struct {
	Payload   int
	ID        string
	Timestamp string
}

func receive(t testing.TB, n *Notification) (r received) {
	t.Helper()
	frame := string(n.Frame)
	if err := json.Unmarshal([]byte(frame[strings.IndexByte(frame, '{'):]), &r); err != nil {
		t.Fatalf("%q: %v", frame, err)
	}
	if r.ID == "" || !strings.HasSuffix(frame, `,"id":"`+r.ID+`"}`) {
		t.Fatalf("the id is not the last member of %q", frame)
	}
	return r
}

func numbered(n int) string { return fmt.Sprintf(`{"type":"n","payload":%d}`, n) }

func TestResumeReplays(t *testing.T) {
	t.Parallel()
	h := resuming(t, Limits{})
	first := &client{}
	_, _, w, err := h.Arrive(first, Arrival{User: "alice", Groups: []string{"g"}})
	if err != nil || w.Result != ResumeNotAsked || len(w.ID) != 21 || w.Missed != nil {
		t.Fatalf("%+v, %v", w, err)
	}
	h.Deliver("alice", numbered(1))
	got := receive(t, first.take()[0])
	h.Remove(first)
	h.Deliver("alice", numbered(2))
	h.Deliver("bob", numbered(3))
	h.DeliverGroup("g", numbered(4))
	h.DeliverGroup("other", numbered(5))
	h.Broadcast(numbered(6))
	h.Deliver("alice", "not JSON")
	h.Deliver("\x00probe", numbered(7))
	second := &client{}
	_, _, w, err = h.Arrive(second, Arrival{User: "alice", Groups: []string{"g"}, Since: got.ID})
	if err != nil || w.Result != ResumeDone || w.ID != got.ID || len(w.Missed) != 3 {
		t.Fatalf("%+v, %v", w, err)
	}
	for i, want := range []int{2, 4, 6} {
		if r := receive(t, w.Missed[i]); r.Payload != want || r.Timestamp == "" {
			t.Errorf("missed %d: %+v", want, r)
		}
	}
	if rest := second.take(); len(rest) != 0 {
		t.Errorf("%d more were delivered", len(rest))
	}
	stats := h.Stats().Resume
	if stats.Results["resumed"] != 1 || stats.Replayed != 3 || stats.Kept != 7 || stats.Bytes == 0 {
		t.Errorf("%+v", stats)
	}
}

func TestResumeRefused(t *testing.T) {
	t.Parallel()
	h := resuming(t, Limits{})
	_, _, w, _ := h.Arrive(&client{}, Arrival{User: "alice"})
	old := w.ID
	h.NewStream()
	for since, why := range map[string]string{old: "unknown", "-": "unknown", "nonsense": "unknown"} {
		_, _, w, err := h.Arrive(&client{}, Arrival{User: "alice", Since: since})
		if err != nil || w.Result != ResumeRefused || len(w.Missed) > 0 || len(w.ID) != 21 || !w.LostSince.IsZero() {
			t.Errorf("%q (%s): %+v, %v", since, why, w, err)
		}
	}
	_, _, w, _ = h.Arrive(&client{}, Arrival{User: "alice"})
	for range maxReplayed + 1 {
		h.Deliver("carol", numbered(1))
	}
	if _, _, w, _ := h.Arrive(&client{}, Arrival{User: "carol", Since: w.ID}); w.Result != ResumeRefused || w.LostSince.IsZero() {
		t.Errorf("too many: %+v", w)
	}
	if got := h.Stats().Resume.Results; got["unknown"] != 3 || got["too_many"] != 1 {
		t.Errorf("%v", got)
	}
}

// Instances that hear the same have the same positions behind a marker.
func TestResumeOnAnotherInstance(t *testing.T) {
	t.Parallel()
	a, b := resuming(t, Limits{}), resuming(t, Limits{})
	both := func(do func(h *Hub)) { do(a); do(b) }
	a.Deliver("alice", numbered(0))
	both(func(h *Hub) { h.Marker("one", false) })
	both(func(h *Hub) { h.Deliver("alice", numbered(1)); h.Broadcast(numbered(2)) })
	_, _, w, _ := a.Arrive(&client{}, Arrival{User: "alice"})
	both(func(h *Hub) { h.Marker("two", false); h.Deliver("alice", numbered(3)) })
	_, _, w, _ = b.Arrive(&client{}, Arrival{User: "alice", Since: w.ID})
	if w.Result != ResumeDone || len(w.Missed) != 1 || receive(t, w.Missed[0]).Payload != 3 {
		t.Errorf("%+v", w)
	}
	both(func(h *Hub) { h.Marker("three", false); h.Marker("three", true) })
	a.Deliver("alice", numbered(4)) // b does not hear it
	both(func(h *Hub) { h.Deliver("alice", numbered(5)) })
	_, _, w, _ = a.Arrive(&client{}, Arrival{User: "alice"})
	a.Deliver("alice", numbered(6))
	b.Deliver("alice", numbered(6))
	b.Deliver("alice", numbered(6))
	if _, _, w, _ = b.Arrive(&client{}, Arrival{User: "alice", Since: w.ID}); w.Result != ResumeRefused {
		t.Errorf("b heard something else: %+v", w)
	}
}

// A client that was on a faster instance comes again when this one has caught up: it would get twice what it has.
func TestResumeAheadOfTheInstance(t *testing.T) {
	t.Parallel()
	now := time.Now()
	proven := now
	a := resuming(t, Limits{})
	b := New(Config{Logger: quiet(), Now: func() time.Time { return now }, Resume: Resume{
		Memory: make([]byte, 1<<20), Window: time.Minute, Proven: func() time.Time { return proven }}})
	for _, h := range []*Hub{a, b} {
		h.Marker("one", false)
		h.Deliver("alice", numbered(1))
	}
	a.Deliver("alice", numbered(2))
	_, _, w, _ := a.Arrive(&client{}, Arrival{User: "alice"})
	c := &client{}
	for range 3 { // the link stands still
		if _, _, _, err := b.Arrive(c, Arrival{User: "alice", Since: w.ID}); err != ErrBehind || b.Connections() != 0 {
			t.Fatalf("err %v, %d connections", err, b.Connections())
		}
		now = now.Add(position.MaxLag)
	}
	nowhere := position.Position{Marker: 77}.String()
	if _, _, _, err := b.Arrive(c, Arrival{User: "alice", Since: nowhere}); err != ErrBehind {
		t.Errorf("a marker that it may not have heard yet: %v", err)
	}
	b.Deliver("alice", numbered(2))
	if _, _, w, err := b.Arrive(c, Arrival{User: "alice", Since: w.ID}); err != nil || w.Result != ResumeDone || len(w.Missed) != 0 {
		t.Errorf("once it has caught up: %+v, %v", w, err)
	}
	a.Deliver("alice", numbered(3)) // which b never hears
	_, _, w, _ = a.Arrive(&client{}, Arrival{User: "alice"})
	if _, _, _, err := b.Arrive(&client{}, Arrival{User: "alice", Since: w.ID}); err != ErrBehind {
		t.Errorf("it may still come: %v", err)
	}
	now = now.Add(position.MaxLag)
	proven = now
	for _, since := range []string{w.ID, nowhere} {
		if _, _, w, err := b.Arrive(&client{}, Arrival{User: "alice", Since: since}); err != nil || w.Result != ResumeRefused {
			t.Errorf("when nothing is on its way: %+v, %v", w, err)
		}
	}
}

// Clients are told of the time without a link before they get anything that came later.
func TestLossIsToldInOrder(t *testing.T) {
	t.Parallel()
	h := resuming(t, Limits{})
	c := &client{}
	if _, _, _, err := h.Arrive(c, Arrival{User: "alice"}); err != nil {
		t.Fatal(err)
	}
	if _, ok := h.Position(c); !ok {
		t.Error("no position")
	}
	since := time.Now()
	h.TellLost(since)
	if _, ok := h.Position(c); ok {
		t.Error("the position steps over a loss that nobody was told of")
	}
	late := &client{}
	_, _, _, _ = h.Arrive(late, Arrival{User: "alice"})
	h.Deliver("alice", numbered(1)) // before RunBroadcasts has its turn
	got := c.take()
	if len(got) != 2 || got[0].Frame != nil || got[0].Lost != LostFeed || got[0].After != since.UnixMilli() {
		t.Fatalf("%+v", got)
	}
	if got := late.take(); len(got) != 1 || got[0].Frame == nil {
		t.Errorf("one that came behind the loss got %d", len(got))
	}
	go h.RunBroadcasts(func() {})
	h.EndBroadcasts(context.Background())
	if got := c.take(); len(got) != 0 {
		t.Errorf("told twice")
	}
	if _, ok := h.Position(c); !ok {
		t.Error("no position once all were told")
	}
}

// A connection whose place another one took gets nothing more, so that it has no position either, before it is told.
func TestNoPositionOnceReplaced(t *testing.T) {
	t.Parallel()
	h := resuming(t, Limits{MaxPerUser: 1, ReplaceOldest: true})
	old, young := &client{}, &client{}
	for _, c := range []*client{old, young} {
		if _, _, _, err := h.Arrive(c, Arrival{User: "alice"}); err != nil {
			t.Fatal(err)
		}
	}
	h.Deliver("alice", numbered(1))
	if _, ok := h.Position(young); !ok {
		t.Error("no position")
	}
	if p, ok := h.Position(old); ok {
		t.Errorf("%s steps over what went to the newer connection", p)
	}
}

// TestNothingIsLostOrDoubled has clients come and go while everything is published: each has everything that is for it, once
// and in order, or was told of a loss.
func TestNothingIsLostOrDoubled(t *testing.T) {
	t.Parallel()
	for name, limits := range map[string]Limits{"": {}, "dropping": {MaxBroadcastBytes: 30_000}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := resuming(t, limits)
			rounds := 4000
			if testing.Short() {
				rounds = 1500
			}
			feed := &numberedFeed{hub: h, random: rand.New(rand.NewPCG(1, 2)), ended: make(chan struct{})}
			var wg sync.WaitGroup
			// Sleeps are the pace of the loops, the feed and the visitors, each random: nothing depends on how long they are.
			pause := func() { time.Sleep(time.Duration(rand.IntN(200)) * time.Microsecond) }
			if name == "dropping" {
				pause = func() { time.Sleep(time.Millisecond) }
			}
			go h.RunBroadcasts(pause)
			var losses, resumed, positions sync.Map
			for i := range 12 {
				wg.Go(func() {
					v := &visitor{hub: h, feed: feed, user: fmt.Sprint("user", i%6), group: fmt.Sprint("group", i%3), t: t}
					v.run()
					losses.Store(i, v.losses)
					resumed.Store(i, v.resumed)
					positions.Store(i, v.positions)
				})
			}
			for range rounds {
				feed.step()
				if feed.random.IntN(20) == 0 {
					time.Sleep(100 * time.Microsecond)
				}
			}
			close(feed.ended)
			wg.Wait()
			h.EndBroadcasts(context.Background())
			sum := func(m *sync.Map) (n int) {
				m.Range(func(_, v any) bool { n += v.(int); return true })
				return n
			}
			t.Logf("%d resumed, %d positions, %d losses told, %v dropped", sum(&resumed), sum(&positions), sum(&losses), h.Stats().BroadcastsDropped)
			if sum(&resumed) == 0 || sum(&positions) == 0 {
				t.Error("nobody resumed, or was given a position")
			}
			// The first arrivals, and visitors that a busy machine kept away until they had missed more than is replayed.
			stats := h.Stats()
			if most := 12 + int(stats.Resume.Results[ring.TooMany.String()]); stats.dropped() == 0 && sum(&losses) > most {
				t.Errorf("losses without a reason: %v", stats.Resume.Results)
			}
		})
	}
}

// numberedFeed publishes numbers, and knows whom each was for.
type numberedFeed struct {
	hub    *Hub
	random *rand.Rand
	ended  chan struct{}
	marked int // the number of the latest marker

	mu    sync.Mutex
	heard []string // guarded by mu: whom the numbers were for
}

func (f *numberedFeed) step() {
	n := f.random.IntN(10)
	to := fmt.Sprint("user", f.random.IntN(8))
	switch {
	case n == 0:
		to = "everyone"
	case n < 4:
		to = fmt.Sprint("group", f.random.IntN(4))
	}
	f.mu.Lock()
	number := len(f.heard)
	f.heard = append(f.heard, to)
	f.mu.Unlock()
	switch {
	case n == 0:
		f.hub.Broadcast(numbered(number))
	case n < 4:
		f.hub.DeliverGroup(to, numbered(number))
	default:
		f.hub.Deliver(to, numbered(number))
	}
	if f.random.IntN(300) == 0 {
		f.hub.Marker(fmt.Sprint("m", number), false)
		f.marked = number
	}
	if number == f.marked+3 {
		f.hub.Marker(fmt.Sprint("m", f.marked), true)
	}
}

// forMe returns the next number behind one that is for a client; -1: none yet.
func (f *numberedFeed) forMe(behind int, v *visitor) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	for n := behind + 1; n < len(f.heard); n++ {
		if to := f.heard[n]; to == v.user || to == v.group || to == "everyone" {
			return n
		}
	}
	return -1
}

// visitor comes and goes.
type visitor struct {
	t               *testing.T
	hub             *Hub
	feed            *numberedFeed
	user, group     string
	id              string
	last            int // the last number that it has; -1: not known
	losses, resumed int
	positions       int // that it was given where nothing came
	covered         int // lower numbers may be missing
}

func (v *visitor) run() {
	v.last = -1
	for ended := false; !ended; {
		select {
		case <-v.feed.ended:
			ended = true
		default:
		}
		c := &client{}
		_, _, w, err := v.hub.Arrive(c, Arrival{User: v.user, Groups: []string{v.group}, Since: v.id})
		if err != nil {
			v.t.Error(err)
			return
		}
		switch {
		case w.Result == ResumeRefused, v.id == "":
			v.lose()
		default:
			v.resumed++
		}
		v.id = w.ID
		v.takes(w.Missed)
		for range rand.IntN(5) {
			time.Sleep(time.Duration(rand.IntN(1000)) * time.Microsecond)
			p, ok := v.hub.Position(c)
			got := c.take()
			if v.takes(got); ok && len(got) == 0 {
				v.id = p.String()
				v.positions++
			}
		}
		if rand.IntN(4) == 0 { // a planned end
			at := v.hub.removeAt(c)
			if v.takes(c.take()); at != "" {
				v.id = at
			}
		} else { // a real connection ends in the middle of what it was handed
			v.hub.Remove(c)
			rest := c.take()
			v.takes(rest[:rand.IntN(len(rest)+1)])
		}
		time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond)
	}
}

func (v *visitor) takes(all []*Notification) {
	for _, n := range all {
		if n.Frame == nil {
			v.lose()
			continue
		}
		r := receive(v.t, n)
		if r.Payload <= v.last {
			v.t.Errorf("%s: %d behind %d", v.user, r.Payload, v.last)
		}
		// The notice of a loss covers all losses before it.
		for next := v.feed.forMe(v.last, v); next != r.Payload; next = v.feed.forMe(next, v) {
			if next >= v.covered {
				v.t.Errorf("%s: %d behind %d, and not %d", v.user, r.Payload, v.last, next)
				break
			}
		}
		v.last, v.id = r.Payload, r.ID
	}
}

// lose notes that it was told of a loss: it may have missed what was published up to now.
func (v *visitor) lose() {
	v.losses++
	v.feed.mu.Lock()
	defer v.feed.mu.Unlock()
	v.covered = len(v.feed.heard)
}
