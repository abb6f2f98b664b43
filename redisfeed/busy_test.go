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
	cfg.Arrived = func() { told.Store(true) }
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

// Waiting for Redis is not work.
func TestWaitingIsNotBusy(t *testing.T) {
	t.Parallel()
	fake := fakeRedis{after: func(int) string { return goodMessage }}
	fake.start(t)
	feed := run(t, quick(fake.addr), sinkFunc(func(string, string) {}))
	waitFor(t, "a notification", func() bool { return feed.Status().Messages == 1 })
	began := time.Now()
	before := feed.Status().Busy
	waitFor(t, "some time to pass", func() bool { return time.Since(began) > 100*time.Millisecond })
	if more := feed.Status().Busy - before; more > 50*time.Millisecond {
		t.Errorf("%s more in 100 ms of waiting", more)
	}
}
