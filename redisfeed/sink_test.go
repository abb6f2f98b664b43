package redisfeed

import (
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"roost/redisfeed/redistest"
)

// A sink that stands still for longer than the heartbeat's timeout holds Redis up, loses nothing, and is not taken for
// a dead link.
func TestSlowSinkPushesBack(t *testing.T) {
	t.Parallel()
	// Again if a busy machine left Redis itself without a turn for as long: its link is taken for dead, and rightly so.
	redistest.WaitFor(t, "a link that is not lost", func() bool { return pushesBack(t) })
}

// pushesBack tries it, and reports whether the link was not lost.
func pushesBack(t *testing.T) bool {
	server := redistest.Start(t, "--client-output-buffer-limit", "pubsub 64mb 64mb 0") // by default it is 8 MB for a minute, too
	const messages = 1000                                                              // of 16 KiB: more than sockets hold, less than that
	gate := make(chan struct{})
	entered := make(chan struct{}, messages)
	var sink collector
	cfg := noticing(quick(server.Addr()))
	feed := connected(t, cfg, sinkFunc(func(user, payload string) {
		entered <- struct{}{}
		<-gate
		sink.Deliver(user, payload)
	}))
	open := sync.OnceFunc(func() { close(gate) })
	t.Cleanup(open)
	lost := func() bool { s := feed.Status(); return !s.Connected || s.Gaps != 0 }
	filler := strings.Repeat("x", 16<<10)
	for i := range messages {
		server.Publish("user_noti:a", strconv.Itoa(i)+" "+filler)
	}
	redistest.WaitFor(t, "the first notification", func() bool { return len(entered) > 0 || lost() })
	since := time.Now()
	redistest.WaitFor(t, "Redis to hold the rest back", func() bool {
		clients, err := server.Client().Do(t.Context(), "CLIENT", "LIST", "TYPE", "pubsub").Text()
		return err == nil && !strings.Contains(clients, " omem=0 ") || lost()
	})
	redistest.WaitFor(t, "the timeout to pass twice", func() bool { return time.Since(since) > 2*cfg.HeartbeatTimeout || lost() })
	if len(entered) > 1 || len(sink.all()) != 0 {
		t.Error("the feed delivered past a sink that blocks")
	}
	open()
	redistest.WaitFor(t, "all notifications", func() bool { return len(sink.all()) >= messages || lost() })
	if lost() {
		return false
	}
	for i, n := range sink.all() {
		if number, _, _ := strings.Cut(n.payload, " "); number != strconv.Itoa(i) {
			t.Fatalf("notification %d is number %s", i, number)
		}
	}
	if s := feed.Status(); s.Messages != messages {
		t.Errorf("status %+v", s)
	}
	return true
}

// A subscriber beyond Redis's own limit is cut off: the feed counts a gap, and connects again.
func TestRedisCutsASubscriberThatIsTooSlow(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--client-output-buffer-limit", "pubsub 1mb 1mb 0")
	gate := make(chan struct{})
	var sink collector
	feed := connected(t, quick(server.Addr()), sinkFunc(func(user, payload string) {
		<-gate
		sink.Deliver(user, payload)
	}))
	filler := strings.Repeat("x", 64<<10)
	for range 400 {
		server.Publish("user_noti:a", filler)
	}
	close(gate)
	redistest.WaitFor(t, "a new link", func() bool { s := feed.Status(); return s.Connected && s.Gaps == 1 })
	server.Publish("user_noti:a", "last")
	redistest.WaitFor(t, "the next notification", func() bool { return sink.has(notification{"a", "last"}) })
}

// As docs/redis.md says of proto-max-bulk-len: Redis refuses a publish that is large enough to cut the feed off, and the feed
// notices nothing.
func TestRedisRefusesHugePublishes(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--proto-max-bulk-len", "1mb", "--client-output-buffer-limit", "pubsub 1mb 1mb 0")
	var sink collector
	feed := connected(t, quick(server.Addr()), &sink)
	huge := strings.Repeat("x", 2<<20)
	if n, err := server.Client().Publish(t.Context(), "user_noti:a", huge).Result(); err == nil {
		t.Fatalf("redis took it, for %d", n)
	}
	server.Publish("user_noti:a", "next")
	redistest.WaitFor(t, "the next notification", func() bool { return sink.has(notification{"a", "next"}) })
	if s := feed.Status(); s.Gaps != 0 || !s.Connected || len(sink.all()) != 1 {
		t.Errorf("status %+v, %d notifications", s, len(sink.all()))
	}
	if err := server.Client().ConfigSet(t.Context(), "proto-max-bulk-len", "512mb").Err(); err != nil {
		t.Fatal(err)
	}
	_ = server.Client().Publish(t.Context(), "user_noti:a", huge).Err()
	redistest.WaitFor(t, "the feed to be cut, as it is without", func() bool { s := feed.Status(); return s.Connected && s.Gaps == 1 })
}

// A payload as large as Redis's limit for a subscriber lets through comes whole, and what follows too.
func TestLargePayload(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var sink collector
	feed := connected(t, quick(server.Addr()), &sink)
	large := strings.Repeat("0123456789abcdef", 20<<20/16)
	server.Publish("user_noti:a", large)
	server.Publish("user_noti:b", "next")
	redistest.WaitFor(t, "both", func() bool { return len(sink.all()) == 2 })
	if got := sink.all(); got[0] != (notification{"a", large}) || got[1] != (notification{"b", "next"}) {
		t.Errorf("%d bytes for %q, then %q", len(got[0].payload), got[0].user, got[1])
	}
	if s := feed.Status(); !s.Connected || s.Gaps != 0 {
		t.Errorf("status %+v", s)
	}
}
