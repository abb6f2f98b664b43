package redisfeed

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"roost/redisfeed/redistest"
)

// A Redis that is slow is not one that is gone.
func TestSlowRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	slow := redistest.Proxy{Target: server.Addr(), Delay: 300 * time.Millisecond}
	slow.Start(t)
	cfg := quick(slow.Addr)
	cfg.HeartbeatInterval = 2 * time.Second
	var sink collector
	feed := connected(t, cfg, &sink)
	const total = 100
	for n := range total {
		server.Publish("user_noti:a", strconv.Itoa(n))
	}
	redistest.WaitFor(t, "all notifications", func() bool { return len(sink.all()) == total })
	for n, got := range sink.all() {
		if got != (notification{"a", strconv.Itoa(n)}) {
			t.Fatalf("got %q in place of %d", got, n)
		}
	}
	redistest.WaitFor(t, "the delay to be measured", func() bool { return feed.Status().Ping >= slow.Delay })
	if s := feed.Status(); !s.Connected || s.Gaps != 0 {
		t.Errorf("a slow link was lost: %+v", s)
	}
}

// A Redis that takes the subscription and hangs up, each time, is tried less and less often, and what it does say is
// delivered.
func TestFlappingIsPaced(t *testing.T) {
	t.Parallel()
	fake := fakeRedis{after: func(int) string { return goodMessage + hangUp }}
	fake.start(t)
	cfg := quick(fake.addr)
	cfg.RetryDelay = 100 * time.Millisecond
	cfg.MaxAttempts = 2 // which counts failures in a row: each link was up
	var sink collector
	start := time.Now()
	feed := run(t, cfg, &sink)
	const links = 10
	redistest.WaitFor(t, "ten links", func() bool { return feed.Status().Messages >= links })
	// Nothing, nothing, 50 ms, and then the delay; each may be shorter by half.
	if took, least := time.Since(start), (firstPause+(links-4)*cfg.RetryDelay)/2; took < least {
		t.Errorf("%d links within %s, want %s at least", links, took, least)
	}
	feed.cancel()
	if err := feed.wait(t); err != nil {
		t.Errorf("Run: %v", err)
	}
	s := feed.Status()
	if s.Gaps < links-1 || uint64(len(sink.all())) != s.Messages {
		t.Errorf("status %+v, and %d notifications", s, len(sink.all()))
	}
}

// Another Redis in the place of the first, as after a failover behind one address, with the first still running.
func TestReplacedByAnother(t *testing.T) {
	t.Parallel()
	first, second := redistest.Start(t), redistest.Start(t)
	address := redistest.Proxy{Target: first.Addr()}
	address.Start(t)
	var sink collector
	feed := connected(t, quick(address.Addr), &sink)
	first.Publish("user_noti:a", "first")
	redistest.WaitFor(t, "a notification of the first", func() bool { return sink.has(notification{"a", "first"}) })

	address.TurnTo(second.Addr())
	redistest.WaitFor(t, "a link to the second", func() bool { s := feed.Status(); return s.Connected && s.Gaps == 1 })
	redistest.WaitFor(t, "the first to have no subscriber", func() bool { return first.Publish("user_noti:a", "stale") == 0 })
	second.Publish("user_noti:a", "second")
	redistest.WaitFor(t, "a notification of the second", func() bool { return sink.has(notification{"a", "second"}) })
	before := feed.Status().Gaps
	if _, err := feed.Publish(t.Context(), "a", "through the pool"); err != nil {
		t.Errorf("publishing to the second: %v", err)
	}
	redistest.WaitFor(t, "what the pool published", func() bool { return sink.has(notification{"a", "through the pool"}) })
	if s := feed.Status(); s.Gaps != before || sink.has(notification{"a", "stale"}) {
		t.Errorf("status %+v, got %q", s, sink.all())
	}
}

// A Redis that takes no more clients is tried again until it has room; the log and the status say what it may be.
func TestFullRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var sink collector
	var log redistest.Log
	cfg := quick(server.Addr())
	cfg.Logger = log.Logger()
	feed := connected(t, cfg, &sink)
	admin := server.Client().Conn() // it stays, also when there may be no other
	defer admin.Close()
	do(t, admin, "CONFIG", "SET", "maxclients", "1")
	do(t, admin, "CLIENT", "KILL", "SKIPME", "yes")
	redistest.WaitFor(t, "the refusal", func() bool {
		s := feed.Status()
		return !s.Connected && s.Attempts > 1 && strings.Contains(s.Err, "too many clients (its maxclients)")
	})
	redistest.WaitFor(t, "the log to say it", func() bool { return strings.Contains(log.String(), "too many clients (its maxclients)") })
	do(t, admin, "CONFIG", "SET", "maxclients", "100")
	feed.waitConnected(t)
	do(t, admin, "PUBLISH", "user_noti:a", "x")
	redistest.WaitFor(t, "the notification", func() bool { return sink.has(notification{"a", "x"}) })
}

// A Redis without memory left refuses to write keys. It goes on publishing.
func TestRedisOutOfMemory(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--maxmemory", "1", "--maxmemory-policy", "noeviction")
	if err := server.Client().Set(t.Context(), "key", "value", 0).Err(); err == nil || !strings.HasPrefix(err.Error(), "OOM") {
		t.Fatalf("Redis has memory left: %v", err)
	}
	var sink collector
	feed := connected(t, quick(server.Addr()), &sink)
	server.Publish("user_noti:a", "x")
	redistest.WaitFor(t, "the notification", func() bool { return sink.has(notification{"a", "x"}) })
	redistest.WaitFor(t, "a heartbeat", func() bool { return feed.Status().Ping > 0 })
}

func do(t *testing.T, conn *redis.Conn, args ...any) {
	t.Helper()
	if err := conn.Do(t.Context(), args...).Err(); err != nil {
		t.Fatalf("%v: %v", args, err)
	}
}
