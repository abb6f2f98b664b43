package hub

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"roost/hub/internal/fairqueue"
)

// stall starts a hub's broadcasts and stops them in the middle of one for everyone, at a connection that takes nothing
// until release is called.
func stall(t *testing.T, h *Hub) (release func()) {
	t.Helper()
	stuck := &stuckConn{entered: make(chan struct{}, 1_000_000), let: make(chan struct{})}
	if _, _, err := h.Admit(stuck, "stuck"); err != nil {
		t.Fatal(err)
	}
	broadcasting(t, h)
	h.Broadcast(`{"type":"first"}`)
	<-stuck.entered
	release = func() { close(stuck.let) }
	return release
}

// TestBroadcastsNeverMakeTheFeedWait: whatever waits for many, and while none of it can leave, what is for one user comes,
// and commands are done. Each broadcast is delivered, or dropped and counted.
func TestBroadcastsNeverMakeTheFeedWait(t *testing.T) {
	t.Parallel()
	h := New(Config{Logger: quiet()})
	alice, mallory, staff := mustAdmit(t, h, "alice"), mustAdmit(t, h, "mallory"), mustAdmit(t, h, "bob", "staff")
	release := stall(t, h)
	const total, own = 10 * maxBroadcasts, 10
	for i := range total { // this is the feed: it would hang here
		h.Broadcast(fmt.Sprintf(`{"type":"all","payload":%d}`, i))
		h.DeliverGroup("staff", fmt.Sprintf(`{"type":"staff","payload":%d}`, i))
		if i%(total/own) == 0 {
			h.Deliver("alice", `{"type":"own"}`)
		}
	}
	h.Control("mallory", `{"disconnect":{}}`)
	if got := count(alice, "own"); got != own || len(mallory.told()) != 1 {
		t.Errorf("alice got %d of %d, mallory was told %v", got, own, mallory.told())
	}
	s := h.Stats()
	if s.BroadcastsWaiting != 2*maxBroadcasts+1 || s.BroadcastsDropped["queue_full"] != 2*(total-maxBroadcasts) || s.dropped() != 2*(total-maxBroadcasts) {
		t.Errorf("%d wait, and dropped are %v", s.BroadcastsWaiting, s.BroadcastsDropped)
	}
	release()
	waitUntil(t, "what waits", done(h))
	for kind, got := range map[string]int{"all": count(staff, "all"), "staff": count(staff, "staff")} {
		if got != maxBroadcasts {
			t.Errorf("bob got %d for %s, want the newest %d", got, kind, maxBroadcasts)
		}
	}
	if got := numbers(staff, "staff"); got[0] != total-maxBroadcasts || !slices.IsSorted(got) {
		t.Errorf("bob got %v", got)
	}
}

// count is how many notifications of a type a connection got.
func count(c *fakeConn, kind string) int { return len(of(c, kind)) }

// of are the frames of a type that a connection got.
func of(c *fakeConn, kind string) (all []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, frame := range c.got {
		if strings.Contains(frame, `{"type":"`+kind+`",`) {
			all = append(all, frame)
		}
	}
	return all
}

// numbers are their payloads.
func numbers(c *fakeConn, kind string) (all []int) {
	for _, frame := range of(c, kind) {
		var n int
		_, payload, _ := strings.Cut(frame, `"payload":`)
		if _, err := fmt.Sscanf(payload, "%d,", &n); err == nil {
			all = append(all, n)
		}
	}
	return all
}

// TestDroppedBroadcastsAreTold to the connections that they were for, before what came later, and to nobody else.
func TestDroppedBroadcastsAreTold(t *testing.T) {
	t.Parallel()
	for _, notices := range []bool{true, false} {
		clock := time.Unix(1_700_000_000, 0)
		h := New(Config{Logger: quiet(), GapNotice: notices, Now: func() time.Time { return clock }})
		staff, other := mustAdmit(t, h, "bob", "staff"), mustAdmit(t, h, "carol", "others")
		release := stall(t, h)
		for range maxBroadcasts + 10 {
			clock = clock.Add(time.Second)
			h.Arrived(clock.Add(-5 * time.Second)) // they were published after that
			h.DeliverGroup("staff", `{"type":"staff"}`)
		}
		h.DeliverGroup("others", `{"type":"others"}`)
		release()
		waitUntil(t, "what waits", done(h))
		want := 0
		if notices {
			want = 1
		}
		if len(staff.missed) != want || count(staff, "staff") != maxBroadcasts || len(other.missed) != 0 || count(other, "others") != 1 {
			t.Errorf("bob was told %v and got %d, carol %v and %d", staff.missed, count(staff, "staff"), other.missed, count(other, "others"))
		}
		if first := time.Unix(1_699_999_996, 0); notices && !staff.missed[0].Equal(first) {
			t.Errorf("bob was told of a loss since %v, want %v", staff.missed[0], first)
		}
	}
}

// TestEachLossIsTold, but not each by itself: the first at once, and those that follow when a second has passed, whether
// anything comes or not, or when the broadcasts end.
func TestEachLossIsTold(t *testing.T) {
	t.Parallel()
	for _, ends := range []bool{false, true} {
		h := New(Config{Logger: quiet(), GapNotice: true})
		c := mustAdmit(t, h, "alice", "staff")
		told := func() int {
			c.mu.Lock()
			defer c.mu.Unlock()
			return len(c.missed)
		}
		r := &broadcaster{hub: h, pause: func() {}}
		for range 2 {
			for range maxBroadcasts + 1 {
				h.DeliverGroup("staff", `{"type":"x"}`)
			}
			for idle := false; !idle; { // what RunBroadcasts does
				idle = h.broadcasts.done(r.turn(h.broadcasts.next()))
				r.handed = 0
			}
		}
		if n := told(); n == 0 { // and hardly ever two, on a machine that stood still for a second
			t.Error("not told at once")
		}
		go h.RunBroadcasts(func() {})
		if ends {
			h.EndBroadcasts(t.Context())
		}
		waitUntil(t, "the second notice", func() bool { return told() == 2 })
		h.EndBroadcasts(t.Context())
		if n := told(); n != 2 {
			t.Errorf("told %d times", n)
		}
	}
}

// TestQuietGroupBesideNoisyOnes: a group's notification comes within a few chunks although there is more for everyone, for a
// large group, and for many small ones, some of them new each time, than can be delivered. None of these starves, and
// each gets what it gets in order.
func TestQuietGroupBesideNoisyOnes(t *testing.T) {
	t.Parallel()
	const small = 150
	h := New(Config{Logger: quiet()})
	last := mustAdmit(t, h, "large", "large")
	for i := range 3 * broadcastChunk {
		last = mustAdmit(t, h, fmt.Sprint("large-", i), "large")
	}
	conns := make([]*fakeConn, small)
	for i := range conns {
		conns[i] = mustAdmit(t, h, fmt.Sprint("small-", i), fmt.Sprint("small-", i))
	}
	rare := mustAdmit(t, h, "rare", "rare")
	sent, asked, waited := 0, 0, 0
	publish := func() {
		for i := range small {
			if i < small/2 || i%10 == sent%10 { // a half is always busy, the others come and go
				h.DeliverGroup(fmt.Sprint("small-", i), fmt.Sprintf(`{"type":"small","payload":%d}`, sent))
			}
		}
		h.DeliverGroup("large", fmt.Sprintf(`{"type":"large","payload":%d}`, sent))
		h.Broadcast(fmt.Sprintf(`{"type":"all","payload":%d}`, sent))
		sent++
	}
	publish()
	h.RunBroadcasts(func() {
		publish()
		if got := count(rare, "rare"); got < asked {
			if waited++; waited > 6 {
				t.Errorf("number %d has not come after %d chunks", asked, waited)
				waited = 0
			}
			return
		}
		if asked == 50 {
			h.broadcasts.close()
			return
		}
		asked, waited = asked+1, 0
		h.DeliverGroup("rare", fmt.Sprintf(`{"type":"rare","payload":%d}`, asked))
	})
	for name, c := range map[string]*fakeConn{"large": last, "small": conns[0], "rare": rare, "all": rare} {
		if got := numbers(c, name); len(got) < 20 || !slices.IsSorted(got) || len(slices.Compact(got)) != len(got) {
			t.Errorf("of %s %d came: %v", name, len(got), got)
		}
	}
	s := h.Stats()
	if s.dropped() == 0 || s.BroadcastsWaiting != 0 {
		t.Errorf("dropped are %v, and %d wait", s.BroadcastsDropped, s.BroadcastsWaiting)
	}
}

// TestGroupIsWalkedWhileMembersComeAndGo: who is in the group all the while comes once, nobody comes twice.
func TestGroupIsWalkedWhileMembersComeAndGo(t *testing.T) {
	t.Parallel()
	for range 300 {
		h := New(Config{Logger: quiet()})
		here, stay := make(map[*fakeConn]bool), make(map[*fakeConn]bool)
		join := func() {
			c := mustAdmit(t, h, fmt.Sprint("user-", rand.IntN(30)), "g")
			here[c] = true
		}
		for range 1 + rand.IntN(40) {
			join()
		}
		for c := range here {
			stay[c] = true
		}
		got := make(map[Conn]int)
		g := h.groups.begin("g")
		for more := true; more; {
			var conns []Conn
			conns, more = g.next(nil, 1+rand.IntN(7), math.MaxUint64)
			for _, c := range conns {
				got[c]++
			}
			for range rand.IntN(8) {
				if rand.IntN(2) == 0 {
					join()
					continue
				}
				for c := range here {
					h.Remove(c)
					delete(here, c)
					delete(stay, c)
					break
				}
			}
		}
		for c, n := range got {
			if n != 1 {
				t.Fatalf("%p came %d times", c, n)
			}
		}
		for c := range stay {
			if got[c] != 1 {
				t.Fatal("one who stayed did not come")
			}
		}
	}
}

// TestWaitingBroadcastsMemory: however many groups there are, what waits takes no more than it may.
func TestWaitingBroadcastsMemory(t *testing.T) {
	h := New(Config{Logger: quiet(), GapNotice: true})
	const groups = 60_000
	names := make([]string, groups)
	for i := range names {
		names[i] = fmt.Sprintf("group-%060d", i)
		if _, _, err := h.Admit(new(countingConn), fmt.Sprint("user-", i), names[i]); err != nil {
			t.Fatal(err)
		}
	}
	empty := int(heapInUse())
	for _, size := range []int{5_000, 1} {
		payload := `{"type":"x","payload":"` + strings.Repeat("x", size) + `"}`
		for i := range defaultBroadcastBytes * 5 / 4 / (size + fairqueue.Overhead) {
			h.DeliverGroup(names[i%groups], strings.Clone(payload))
		}
		took := int(heapInUse()) - empty
		if bytes := h.Stats().BroadcastBytes; bytes > defaultBroadcastBytes || took > defaultBroadcastBytes*5/4 {
			t.Errorf("payloads of %d bytes: %d MiB are charged, and %d taken", size, bytes>>20, took>>20)
		}
		t.Logf("payloads of %d bytes: %d MiB are charged, and %d taken, by %d", size, h.Stats().BroadcastBytes>>20, took>>20, h.BroadcastsWaiting())
	}
	go h.EndBroadcasts(t.Context())
	h.RunBroadcasts(func() {})
	if h.BroadcastsWaiting() != 0 || h.Stats().BroadcastBytes != 0 {
		t.Errorf("%d are left", h.BroadcastsWaiting())
	}
	runtime.KeepAlive(names)
}
