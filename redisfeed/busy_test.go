package redisfeed

import (
	"sync/atomic"
	"testing"
	"time"

	"roost/redisfeed/internal/boottime"
	"roost/redisfeed/redistest"
)

// Arrived is called before notifications are handed over, and the feed counts as busy while it does not wait.
func TestArrivedAndBusy(t *testing.T) {
	t.Parallel()
	fake := fakeRedis{after: func(int) string { return goodMessage }}
	fake.start(t)
	const work = 30 * time.Millisecond
	var told, early atomic.Bool
	cfg := quick(fake.addr)
	cfg.Arrived = func(time.Time) { told.Store(true) }
	began := time.Now()
	feed := run(t, cfg, sinkFunc(func(string, string) {
		early.Store(!told.Load())
		time.Sleep(work) // it is the work
	}))
	redistest.WaitFor(t, "the work to be counted", func() bool { return feed.Status().Busy >= work })
	if early.Load() {
		t.Error("a notification was handed over before it was told that something came")
	}
	if s := feed.Status(); s.Busy > time.Since(began) {
		t.Errorf("%s busy", s.Busy)
	}
}

// Waiting for Redis is not work, be it for what it sends or until there is one again.
func TestWaitingIsNotBusy(t *testing.T) {
	t.Parallel()
	fake := fakeRedis{after: func(int) string { return goodMessage + hangUp }}
	fake.start(t)
	cfg := quick(fake.addr)
	cfg.RetryDelay = time.Second
	began := time.Now()
	feed := run(t, cfg, sinkFunc(func(string, string) {}))
	redistest.WaitFor(t, "nine links", func() bool { return feed.Status().Messages >= 9 })
	// Between them it has waited for a second and a half at least: see retry. More links follow, and longer waits, which
	// make up for a machine that stood still in the middle of the work.
	redistest.WaitFor(t, "most of the time not to be busy", func() bool {
		busy, took := feed.Status().Busy, time.Since(began)
		return busy <= took/2
	})
}

// With what came it is told since when that can have been published: never later than it was, and not much earlier than a
// heartbeat ago.
func TestArrivedSaysAfterWhat(t *testing.T) {
	t.Parallel()
	for _, mode := range []Mode{Pattern, PerUser} {
		server := redistest.Start(t)
		cfg := quick(server.Addr())
		cfg.Mode = mode
		var after atomic.Pointer[time.Time]
		cfg.Arrived = func(at time.Time) { after.Store(&at) }
		came := make(chan time.Time, 100)
		feed := connected(t, cfg, sinkFunc(func(string, string) { came <- *after.Load() }))
		join(t, feed.Feed, "a")
		first := boottime.Now()
		redistest.WaitFor(t, "some heartbeats", func() bool {
			return feed.Status().Ping > 0 && time.Duration(boottime.Now()-first) > 5*cfg.HeartbeatInterval
		})
		for range 20 {
			server.Publish("user_noti:a", "x")
			published := time.Now() // at the latest: a heartbeat may have been sent and answered before Redis took it
			at := <-came
			if at.After(published) || at.IsZero() {
				t.Errorf("mode %d: published at %s, after %s", mode, published, at)
			}
			if published.Sub(at) > redistest.Patience {
				t.Errorf("mode %d: published %s after what is told", mode, published.Sub(at))
			}
		}
	}
}
