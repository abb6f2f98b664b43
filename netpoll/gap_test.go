package netpoll

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"roost/hub"
	"roost/netpoll/internal/sendqueue"
)

// gapOf returns a notice's reason and time; "" if the payload is none.
func gapOf(t *testing.T, payload []byte) (reason string, since time.Time) {
	t.Helper()
	var message struct {
		Type    string
		Payload struct {
			Reason string
			Since  time.Time
		}
	}
	if !strings.Contains(string(payload), `"_gap"`) {
		return "", since
	}
	if err := json.Unmarshal(payload, &message); err != nil || message.Type != "_gap" {
		t.Fatalf("%q: %v", payload, err)
	}
	return message.Payload.Reason, message.Payload.Since
}

// A client that lost notifications is told as soon as it reads again, and not
// for each of them; one that lost none is not.
func TestGapNoticeAfterDrops(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *Config) { c.QueueBytes, c.GapNotice = 20*20_200, true })
	before := time.Now()
	slow, quick := r.upgrade("slow"), r.upgrade("quick")
	padding := strings.Repeat("x", 20_000)
	sent := 0
	eventually(t, "many are dropped", func() bool {
		r.deliverThrough("slow", fmt.Sprintf(`{"type":"n","payload":[%d,"%s"]}`, sent, padding))
		sent++
		return r.roomless() > 50
	})
	kept := sent - int(r.roomless())
	notices, first := 0, -1
	for got := 0; got < kept; {
		_, payload := slow.readFrame(t)
		reason, since := gapOf(t, payload)
		if reason == "" {
			got++
			continue
		}
		if notices++; first < 0 {
			first = got
		}
		if reason != "slow_consumer" && reason != "queue_full" || since.Before(before.Add(-time.Second)) || since.After(time.Now()) {
			t.Errorf("reason %q, since %s", reason, since)
		}
	}
	if notices < 1 || notices > 3 || kept-first < 15 {
		t.Errorf("%d notices, the first behind %d of %d notifications; want few, ahead of the queue", notices, first, kept)
	}
	eventually(t, "nothing waits", func() bool { s := r.server.Stats(); return s.Waiting == 0 && s.Stalled == 0 })
	r.deliver("slow", `{"type":"after"}`)
	for payload := []byte(nil); !strings.Contains(string(payload), "after"); {
		_, payload = slow.readFrame(t) // a last notice of losses after the first one may come before
	}
	r.deliver("quick", `{"type":"only"}`)
	if _, payload := quick.readFrame(t); !strings.Contains(string(payload), "only") {
		t.Errorf("who lost nothing got %q", payload)
	}
	r.balanced()
}

// When the feed was away, everybody who was connected is told, a few at a time.
func TestGapNoticeToAll(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *Config) { c.GapNotice = true })
	var clients []*raw
	for i := range 3*gapBatch + 5 {
		clients = append(clients, r.upgrade(fmt.Sprint("user", i)))
	}
	since := time.Now().Add(-time.Minute).Truncate(time.Millisecond)
	r.server.NotifyGap(since)
	for i, client := range clients {
		_, payload := client.readFrame(t)
		if reason, when := gapOf(t, payload); reason != "redis" || !when.Equal(since) {
			t.Fatalf("client %d got %q", i, payload)
		}
	}
	later := r.upgrade("later")
	r.deliver("later", `{"type":"n"}`)
	if _, payload := later.readFrame(t); strings.Contains(string(payload), "_gap") {
		t.Errorf("who came later was told: %q", payload)
	}
	if n := r.server.Stats().GapNotices; n != len(clients) {
		t.Errorf("%d notices are counted, want %d", n, len(clients))
	}
	r.balanced()
}

// A connection is told of what was dropped before it came to it, and no other is.
func TestMissedIsTold(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *Config) { c.GapNotice = true })
	alice, bob := r.upgrade("alice"), r.upgrade("bob")
	since := time.Now().Add(-time.Minute).Truncate(time.Millisecond)
	conns, _ := r.hub.ConnsOf("alice", 9)
	conns[0].Missed(since)
	_, payload := alice.readFrame(t)
	if reason, when := gapOf(t, payload); reason != "broadcast" || !when.Equal(since) {
		t.Errorf("alice was told of %q since %v", reason, when)
	}
	for user, client := range map[string]*raw{"alice": alice, "bob": bob} {
		r.deliver(user, `{"type":"n"}`)
		if _, payload := client.readFrame(t); strings.Contains(string(payload), "_gap") {
			t.Errorf("%s was told: %q", user, payload)
		}
	}
	_ = alice.Close()
	eventually(t, "alice to be gone", func() bool { return r.hub.Connections() == 1 })
	conns[0].Missed(since) // does nothing
	r.balanced()
}

func TestNoGapNoticeUnlessAskedFor(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	client := r.upgrade("alice")
	r.server.NotifyGap(time.Now())
	conns, _ := r.hub.ConnsOf("alice", 9)
	conns[0].Missed(time.Now())
	r.deliver("alice", `{"type":"n"}`)
	if _, payload := client.readFrame(t); strings.Contains(string(payload), "_gap") {
		t.Errorf("told without being asked: %q", payload)
	}
}

// A client that is slow without end is told once a second that it loses
// notifications, and then of the first loss that it does not know of.
func TestGapNoticeOnceASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // whose clock stands still but for Sleep
		l := sleeper(t)
		l.server.cfg.GapNotice = true
		l.rules(func(r *Rules) { r.QueueBytes = 20 * 33 << 10 })
		c, client := l.connect(t)
		lose := func() { // fills the queue until a notification is dropped
			lost := func() uint64 { return l.stats.failed[failedFull].Load() + l.stats.failed[failedSlow].Load() }
			for before := lost(); lost() == before; {
				c.Deliver(&hub.Notification{Frame: make([]byte, 32<<10), Arrived: l.server.cfg.Hub.Clock()})
				l.server.Flush()
			}
		}
		lose()
		begun := time.Now()
		const times = 4 // a fifth of the second apart
		for range times {
			time.Sleep(noticeEvery / (times + 1))
			for before := c.out.Len(); c.out.Notice != nil || c.out.Len() == before; c.flush() {
				if _, err := unix.Read(client, make([]byte, 64<<10)); err != nil {
					t.Fatal(err)
				}
			}
			lose()
			if n := l.stats.GapNotices.Load(); n != 1 {
				t.Fatalf("%d notices after %s, want 1", n, time.Since(begun))
			}
		}
		time.Sleep(noticeEvery / (times + 1))
		lose()
		if n := l.stats.GapNotices.Load(); n != 2 {
			t.Fatalf("%d notices after %s, want 2", n, time.Since(begun))
		}
		_, since := gapOf(t, c.out.Notice[2:])
		if want := begun.Add(noticeEvery / (times + 1)); since.Sub(want).Abs() > time.Millisecond {
			t.Errorf("the second is of a loss at %s, want %s", since, want)
		}
	})
}

// All are told a few at a time, so that the loop gets to other things between.
func TestGapRoundGoesInSteps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := sleeper(t)
		const others = 10
		for range gapBatch + others {
			c, _ := l.connect(t)
			c.setTimer(time.Hour) // each is in the wheel at all times
		}
		l.gapRound.start(l, time.Now())
		for i, want := range []int64{gapBatch, gapBatch, gapBatch + others} {
			if i == 2 {
				time.Sleep(gapPause)
			}
			l.gapRound.step(l)
			if n := l.stats.GapNotices.Load(); n != want {
				t.Errorf("step %d: %d are told, want %d", i, n, want)
			}
		}
	})
}

// noticesOf are the gaps that frames tell of, by their reasons.
func noticesOf(t *testing.T, frames []byte) map[string]time.Time {
	t.Helper()
	told := make(map[string]time.Time)
	for len(frames) > 0 {
		size := 2 + int(frames[1]) // a notice is shorter than 126 bytes
		reason, since := gapOf(t, frames[2:size])
		if _, twice := told[reason]; twice || reason == "" {
			t.Fatalf("%q", frames)
		}
		told[reason], frames = since, frames[size:]
	}
	return told
}

// The told beginning of a gap is never later than the real one, not even for want of digits, and of two gaps it is the
// earlier one.
func TestGapsAreToldFromTheEarliest(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_999_999, time.UTC)
	var g gaps
	for i, tt := range []struct {
		reason gapReason
		since  time.Time
		first  bool
	}{
		{gapRedis, at.Add(time.Second), true},
		{gapSlow, at, true},
		{gapRedis, at, false},
		{gapRedis, at.Add(time.Hour), false},
		{gapSlow, at.Add(time.Millisecond), false},
	} {
		if first := g.add(tt.reason, tt.since); first != tt.first {
			t.Errorf("gap %d: first %t", i, first)
		}
	}
	const since = `"since":"2026-01-02T03:04:05.678Z"}}`
	text := string(g.frames())
	if strings.Count(text, since) != 2 || strings.Count(text, "_gap") != 2 {
		t.Errorf("%q", text)
	}
	if told := noticesOf(t, g.frames()); len(told) != 2 || !told["redis"].Equal(told["slow_consumer"]) {
		t.Errorf("told of %v", told)
	}
}

// A notice that waits for a client that takes nothing is not replaced by that of another gap: neither one of another
// reason, nor a later one of the same.
func TestGapNoticesMerge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := sleeper(t)
		l.server.cfg.GapNotice = true
		l.rules(func(r *Rules) { r.QueueBytes = 5 * 33 << 10 })
		c, client := l.connect(t)
		l.stallOn(t, c)
		time.Sleep(sendqueue.SlowAfter)
		begun := time.Now().Truncate(time.Millisecond)
		ago := func(d time.Duration) time.Time { return begun.Add(-d) }
		published := func(at time.Time) *hub.Notification {
			return &hub.Notification{Frame: make([]byte, 32<<10), After: at.UnixMilli()}
		}
		lose := func(at time.Time) {
			for before := l.stats.failed[failedSlow].Load(); l.stats.failed[failedSlow].Load() == before; {
				c.Deliver(published(at))
				l.server.Flush()
			}
		}
		check := func(what string, want map[string]time.Time) {
			t.Helper()
			told := noticesOf(t, c.out.Notice)
			if fmt.Sprint(told) != fmt.Sprint(want) {
				t.Errorf("%s: told of %v, want %v", what, told, want)
			}
		}
		utc := func(at time.Time) time.Time { return at.UTC() }

		lose(ago(7 * time.Second)) // it was under way for long
		check("a loss", map[string]time.Time{"slow_consumer": utc(ago(7 * time.Second))})
		tell := func(d time.Duration) { c.sendGapNotice(gapRedis, ago(d), appendGap(nil, gapRedis, ago(d))) }
		tell(3 * time.Second)
		check("and a gap", map[string]time.Time{
			"slow_consumer": utc(ago(7 * time.Second)), "redis": utc(ago(3 * time.Second)),
		})
		tell(9 * time.Second)
		tell(time.Second)
		time.Sleep(2 * noticeEvery)
		lose(ago(2 * time.Second))
		check("and more", map[string]time.Time{
			"slow_consumer": utc(ago(7 * time.Second)), "redis": utc(ago(9 * time.Second)),
		})
		if n := l.stats.GapNotices.Load(); n != 2 {
			t.Errorf("%d notices are counted, want 2", n)
		}

		for c.out.Notice != nil {
			if _, err := unix.Read(client, make([]byte, 64<<10)); err != nil {
				t.Fatal(err)
			}
			c.flush()
		}
		tell(time.Second) // those before are told
		check("the next", map[string]time.Time{"redis": utc(ago(time.Second))})
	})
}

// The feed goes away again while everybody is being told of the first time. Clients that have not been told yet are told
// of that too.
func TestGapRoundIsNotReplaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := sleeper(t)
		begun := time.Now().Truncate(time.Millisecond)
		const total = gapBatch + 10
		var clients []int
		for range total {
			c, client := l.connect(t)
			clients = append(clients, client)
			c.setTimer(time.Hour)
		}
		first, second := begun.Add(-time.Minute), begun.Add(-time.Second)
		l.gapRound.start(l, first)
		l.gapRound.step(l)
		l.gapRound.start(l, second)
		l.gapRound.start(l, second.Add(time.Millisecond)) // one more
		for range 4 {
			time.Sleep(gapPause)
			l.gapRound.step(l)
		}
		for i, client := range clients {
			b := make([]byte, 1<<10)
			n, err := unix.Read(client, b)
			if err != nil {
				t.Fatal(err)
			}
			var since []time.Time
			for b = b[:n]; len(b) > 0; b = b[2+int(b[1]):] {
				_, at := gapOf(t, b[2:2+int(b[1])])
				since = append(since, at)
			}
			if len(since) != 2 || !since[0].Equal(first) || !since[1].Equal(second) {
				t.Errorf("client %d was told of gaps since %v", i, since)
			}
		}
		if len(l.gapRound.left) > 0 || !l.gapRound.again.IsZero() {
			t.Errorf("%+v is left", l.gapRound)
		}
	})
}

// A client admitted before its subscription is told, once subscribed, from when on something may have been missed.
func TestLateIsTold(t *testing.T) {
	t.Parallel()
	r, a := startSubscriptions(t, nil, func(c *Config) { c.SubscribeWait, c.GapNotice = 100*time.Millisecond, true })
	before := time.Now()
	late := r.send(token(t, "alice"), "")
	late.answered(t, http.StatusSwitchingProtocols)
	open := time.Now()
	a.heard("alice")
	_, payload := late.readFrame(t)
	reason, since := gapOf(t, payload)
	if reason != "redis" || since.Before(before.Add(-time.Second)) || since.After(open.Add(time.Second)) {
		t.Errorf("told %q", payload)
	}
	if n := r.server.Stats().GapNotices; n != 1 {
		t.Errorf("%d notices are counted", n)
	}
}

// A client that waited until it was subscribed is told of nothing.
func TestSubscribedInTimeIsNotTold(t *testing.T) {
	t.Parallel()
	r, a := startSubscriptions(t, nil, func(c *Config) { c.SubscribeWait, c.GapNotice = patience, true })
	inTime := r.send(token(t, "bob"), "")
	r.awaitingIs(1)
	a.heard("bob")
	inTime.answered(t, http.StatusSwitchingProtocols)
	r.deliver("bob", `{"type":"n"}`)
	if _, payload := inTime.readFrame(t); strings.Contains(string(payload), "_gap") {
		t.Errorf("told without reason: %q", payload)
	}
}

// A gap of one user is told to that user's connections, and to nobody else's.
func TestGapToOneUser(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *Config) { c.GapNotice = true })
	var alices []*raw
	for range 3 {
		alices = append(alices, r.upgrade("alice"))
	}
	bob := r.upgrade("bob")
	since := time.Now().Add(-time.Minute).Truncate(time.Millisecond)
	r.server.NotifyGapTo("alice", since)
	r.server.NotifyGapTo("nobody", since)
	for i, client := range alices {
		_, payload := client.readFrame(t)
		if reason, when := gapOf(t, payload); reason != "redis" || !when.Equal(since) {
			t.Errorf("connection %d got %q", i, payload)
		}
	}
	for i := range 3 { // a notice would be ahead of one of these
		r.deliver("bob", fmt.Sprintf(`{"type":"n","payload":%d}`, i))
		if _, payload := bob.readFrame(t); strings.Contains(string(payload), "_gap") {
			t.Errorf("another user was told: %q", payload)
		}
	}
	if n := r.server.Stats().GapNotices; n != 3 {
		t.Errorf("%d notices are counted, want 3", n)
	}
	r.balanced()
}

func TestGapOfOneUserIsNotToldUnlessAskedFor(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	client := r.upgrade("alice")
	r.server.NotifyGapTo("alice", time.Now())
	r.deliver("alice", `{"type":"n"}`)
	if _, payload := client.readFrame(t); strings.Contains(string(payload), "_gap") {
		t.Errorf("told without being asked: %q", payload)
	}
}
