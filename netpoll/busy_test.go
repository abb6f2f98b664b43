package netpoll

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestBusyTime(t *testing.T) {
	t.Parallel()
	var b busyTime
	check := func(now, want time.Duration) {
		t.Helper()
		if got := b.total(func() time.Duration { return now }); got != want {
			t.Errorf("at %d it is %d, want %d", now, got, want)
		}
	}
	check(100, 0)
	b.wake(100)
	check(100, 0)
	check(107, 7) // the turn under way
	b.sleep(110)
	check(200, 10)
	b.wake(200)
	b.sleep(200)
	check(300, 10)
	b.wake(300)
	check(305, 15)
}

// A reading that goes back would look like a new process, and make the rate jump.
func TestBusyTimeNeverGoesBack(t *testing.T) {
	t.Parallel()
	var b busyTime
	start := time.Now().Add(-time.Second)
	now := func() time.Duration { return time.Since(start) }
	var stop atomic.Bool
	var loop sync.WaitGroup
	loop.Go(func() {
		for !stop.Load() {
			b.wake(now())
			b.sleep(now())
		}
	})
	var last time.Duration
	for range 20_000 {
		got := b.total(now)
		if got < last {
			t.Errorf("%s after %s", got, last)
			break
		}
		last = got
	}
	stop.Store(true)
	loop.Wait()
	if last > time.Since(start)-time.Second {
		t.Errorf("%s, longer than it ran", last)
	}
}
