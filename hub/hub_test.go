package hub

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// fakeConn is a connection that keeps what it is handed.
type fakeConn struct {
	link     Link
	replaced atomic.Bool

	mu          sync.Mutex
	got         []string    // guarded by mu
	missed      []time.Time // guarded by mu: what it was told of
	disconnects []closing   // guarded by mu: what it was told
}

func (c *fakeConn) HubLink() *Link { return &c.link }

func (c *fakeConn) Deliver(n *Notification) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, string(n.Frame))
}

// Missed implements Conn.
func (c *fakeConn) Missed(since time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.missed = append(c.missed, since)
}

// Replaced implements Conn.
func (c *fakeConn) Replaced() { c.replaced.Store(true) }

func (c *fakeConn) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.got)
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func mustAdmit(t testing.TB, h *Hub, user string, groups ...string) *fakeConn {
	t.Helper()
	c := new(fakeConn)
	if _, _, err := h.Admit(c, user, groups...); err != nil {
		t.Fatalf("admitting a connection of %s: %v", user, err)
	}
	return c
}

func TestDeliverReachesEveryConnectionOfTheUserOnly(t *testing.T) {
	t.Parallel()
	h := New(Config{Logger: quiet()})
	a1, a2, b := mustAdmit(t, h, "alice"), mustAdmit(t, h, "alice"), mustAdmit(t, h, "bob")
	h.Deliver("alice", `{"type":"x"}`)
	h.Deliver("nobody", `{"type":"x"}`)
	if a1.count() != 1 || a2.count() != 1 || b.count() != 0 {
		t.Errorf("alice's got %d and %d, bob's %d; want 1, 1, 0", a1.count(), a2.count(), b.count())
	}
	if s := h.Stats(); s.Received != 2 || s.Offline != 1 || s.Connections != 3 || s.Users != 2 {
		t.Errorf("stats: %+v", s)
	}
}

// A user's connections leave in any order, and the others stay.
func TestRemoveInEveryOrder(t *testing.T) {
	t.Parallel()
	for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		h := New(Config{Logger: quiet()})
		conns := []*fakeConn{mustAdmit(t, h, "u"), mustAdmit(t, h, "u"), mustAdmit(t, h, "u")}
		for i, leaving := range order {
			total, ofUser := h.Remove(conns[leaving])
			if want := 2 - i; total != want || ofUser != want || h.ConnectionsOf("u") != want {
				t.Fatalf("order %v, step %d: total %d, of user %d, count %d; want %d", order, i, total, ofUser, h.ConnectionsOf("u"), want)
			}
			h.Deliver("u", `{"type":"x"}`)
			for _, gone := range order[:i+1] {
				want := slices.Index(order, gone)
				if got := conns[gone].count(); got != want {
					t.Fatalf("order %v: connection %d got %d after it left, want %d", order, gone, got, want)
				}
			}
		}
		if total, _ := h.Remove(conns[0]); total != 0 || h.Users() != 0 {
			t.Fatalf("removing twice: total %d, users %d; want 0, 0", total, h.Users())
		}
	}
}

func TestAdmitStopsAtTheLimit(t *testing.T) {
	t.Parallel()
	const limit, tries = 50, 400
	h := New(Config{Limits: Limits{MaxConnections: limit}, Logger: quiet()})
	var wg sync.WaitGroup
	admitted := make(chan *fakeConn, tries)
	for i := range tries {
		wg.Go(func() {
			c := new(fakeConn)
			if _, _, err := h.Admit(c, fmt.Sprint("user", i%7)); err == nil {
				admitted <- c
			}
		})
	}
	wg.Wait()
	close(admitted)
	if len(admitted) != limit || h.Connections() != limit {
		t.Fatalf("%d admitted, %d counted; want %d", len(admitted), h.Connections(), limit)
	}
	for c := range admitted {
		h.Remove(c)
	}
	if h.Connections() != 0 || h.Users() != 0 {
		t.Fatalf("%d connections and %d users are left", h.Connections(), h.Users())
	}
	mustAdmit(t, h, "again")
}

func TestProbesAreOutsideLimitsAndCounts(t *testing.T) {
	t.Parallel()
	h := New(Config{Limits: Limits{MaxConnections: 1}, Logger: quiet()})
	mustAdmit(t, h, "alice")
	probe := mustAdmit(t, h, "\x00probe")
	h.Deliver("\x00probe", `{"type":"x"}`)
	h.Deliver("\x00another instance's", `{"type":"x"}`)
	if probe.count() != 1 {
		t.Errorf("the probe got %d notifications, want 1", probe.count())
	}
	if s := h.Stats(); s.Connections != 1 || s.Users != 1 || s.Received != 0 || s.Offline != 0 {
		t.Errorf("the probe shows in %+v", s)
	}
	h.Remove(probe)
	if h.Connections() != 1 {
		t.Errorf("%d connections after the probe left, want 1", h.Connections())
	}
}

func TestPresenceMarks(t *testing.T) {
	t.Parallel()
	h := New(Config{TrackPresence: true, Logger: quiet()})
	take := func() map[string]bool { // and whether they were here before
		select {
		case <-h.Changed():
		default:
			return nil
		}
		users := make(map[string]bool)
		h.TakeChanged(func(user string, was bool) { users[user] = was })
		return users
	}
	a1 := mustAdmit(t, h, "alice")
	a2 := mustAdmit(t, h, "alice")
	bob := mustAdmit(t, h, "bob")
	if got := take(); !maps.Equal(got, map[string]bool{"alice": false, "bob": false}) {
		t.Fatalf("after connecting: %v", got)
	}
	h.Remove(a1)
	if got := take(); got != nil {
		t.Fatalf("alice is still here, but marked: %v", got)
	}
	h.Remove(a2)
	h.Remove(mustAdmit(t, h, "carol"))
	h.Remove(bob)
	mustAdmit(t, h, "bob")
	if got := take(); !maps.Equal(got, map[string]bool{"alice": true, "bob": true, "carol": false}) || h.ConnectionsOf("alice") != 0 {
		t.Fatalf("after the last one left: %v", got)
	}
}

// Connects, disconnects, deliveries and readings at once; the race detector
// looks on, and in the end nobody is left.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	h := New(Config{Logger: quiet()})
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 500 {
				c := mustAdmit(t, h, fmt.Sprint("user", (g+i)%5))
				h.Remove(c)
			}
		})
	}
	for range 2 {
		wg.Go(func() {
			for i := range 2000 {
				h.Deliver(fmt.Sprint("user", i%5), `{"type":"x"}`)
				h.Stats()
			}
		})
	}
	wg.Wait()
	if h.Connections() != 0 || h.Users() != 0 {
		t.Fatalf("%d connections and %d users are left", h.Connections(), h.Users())
	}
}

func TestDeliverAllocations(t *testing.T) {
	h := New(Config{Logger: quiet()})
	mustAdmit(t, h, "alice")
	if n := testing.AllocsPerRun(200, func() { h.Deliver("nobody", `{"type":"x"}`) }); n != 0 {
		t.Errorf("a notification for somebody who is not here costs %v allocations, want 0", n)
	}
	sink := &countingConn{}
	if _, _, err := h.Admit(sink, "bob"); err != nil {
		t.Fatal(err)
	}
	most := 2.0 // one for the notification, one for its frame
	if raceDetector {
		most = 3 // slices.Grow costs one more then
	}
	if n := testing.AllocsPerRun(200, func() { h.Deliver("bob", `{"type":"x","payload":{"n":1}}`) }); n > most {
		t.Errorf("a delivery costs %v allocations, want %v at most", n, most)
	}
	for range 1_000 {
		if _, _, err := h.Admit(new(countingConn), "carol"); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(200, func() { h.Deliver("carol", `{"type":"x","payload":{"n":1}}`) }); n > most {
		t.Errorf("a delivery to a thousand connections costs %v allocations, want %v at most", n, most)
	}
	if n := testing.AllocsPerRun(200, func() { h.ConnectionsOf("carol") }); n != 0 {
		t.Errorf("a look-up costs %v allocations, want 0", n)
	}
}

// One user can't have more than there may be of them, and others don't feel it.
func TestMaxPerUser(t *testing.T) {
	t.Parallel()
	h := New(Config{Logger: quiet(), Limits: Limits{MaxPerUser: 2}})
	first := mustAdmit(t, h, "alice")
	mustAdmit(t, h, "alice")
	for range 3 {
		if _, _, err := h.Admit(new(fakeConn), "alice"); err != ErrUserFull {
			t.Fatalf("the third was admitted with %v, want ErrUserFull", err)
		}
	}
	mustAdmit(t, h, "bob")
	if h.Connections() != 3 || h.ConnectionsOf("alice") != 2 || h.Users() != 2 {
		t.Errorf("%d connections, %d of alice, %d users", h.Connections(), h.ConnectionsOf("alice"), h.Users())
	}
	h.Remove(first)
	mustAdmit(t, h, "alice")
}

// With ReplaceOldest the oldest that is left makes room, whatever left before.
func TestReplaceOldest(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{1, 2, 3, 7} {
		h := New(Config{Logger: quiet(), Limits: Limits{MaxPerUser: limit, ReplaceOldest: true}})
		var here []*fakeConn
		for i := range 50 {
			if i%5 == 3 { // one in the middle leaves by itself
				gone := len(here) / 2
				h.Remove(here[gone])
				here = slices.Delete(here, gone, gone+1)
			}
			c := new(fakeConn)
			if _, ofUser, err := h.Admit(c, "alice"); err != nil || ofUser > limit {
				t.Fatalf("limit %d: connection %d: %d of the user, %v", limit, i, ofUser, err)
			}
			here = append(here, c)
			if len(here) > limit {
				if !here[0].replaced.Load() {
					t.Fatalf("limit %d: the oldest was not replaced by connection %d", limit, i)
				}
				h.Remove(here[0]) // as its loop does, late
				here = here[1:]
			}
			for _, c := range here {
				if c.replaced.Load() {
					t.Fatalf("limit %d: a younger one was replaced by connection %d", limit, i)
				}
			}
			if h.ConnectionsOf("alice") != len(here) || h.Connections() != len(here) || h.Users() != min(1, len(here)) {
				t.Fatalf("limit %d: %d connections are counted, %d are here", limit, h.Connections(), len(here))
			}
		}
		h.Deliver("alice", `{"type":"x"}`)
		for _, c := range here {
			if c.count() != 1 {
				t.Errorf("limit %d: one that is left got %d notifications", limit, c.count())
			}
		}
	}
}

func TestDefaultLogger(t *testing.T) {
	t.Parallel()
	if h := New(Config{}); h.cfg.Logger != slog.Default() {
		t.Error("another logger than the program's")
	}
}
