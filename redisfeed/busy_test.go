package redisfeed

import (
	"sync/atomic"
	"testing"
	"time"
)

// What came is told before it is handed over, and work is time in which the feed does not wait.
func TestArrivedAndBusy(t *testing.T) {
	t.Parallel()
	fake := fakeRedis{after: func(int) string { return goodMessage }}
	fake.start(t)
	const work = 30 * time.Millisecond
	var told, early atomic.Bool
	cfg := quick(fake.addr)
	cfg.Arrived = func(time.Time) { told.Store(true) }
	feed := run(t, cfg, sinkFunc(func(string, string) {
		early.Store(!told.Load())
		time.Sleep(work)
	}))
	waitFor(t, "the work to be counted", func() bool { return feed.Status().Busy >= work })
	if early.Load() {
		t.Error("a notification was handed over before it was told that something came")
	}
	if s := feed.Status(); s.Busy > work+10*time.Second {
		t.Errorf("%s busy", s.Busy)
	}
}

// Waiting for Redis is not work, be it for what it sends or until there is one again.
func TestWaitingIsNotBusy(t *testing.T) {
	t.Parallel()
	fake := fakeRedis{after: func(int) string { return goodMessage + hangUp }}
	fake.start(t)
	cfg := quick(fake.addr)
	cfg.RetryDelay = 300 * time.Millisecond
	feed := run(t, cfg, sinkFunc(func(string, string) {}))
	waitFor(t, "four links", func() bool { return feed.Status().Messages >= 4 })
	if busy := feed.Status().Busy; busy > 2*cfg.RetryDelay {
		t.Errorf("%s busy, although it waited for nearly all of three times %s", busy, cfg.RetryDelay)
	}
}
