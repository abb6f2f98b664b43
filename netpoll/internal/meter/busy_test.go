package meter

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestBusy(t *testing.T) {
	t.Parallel()
	var b Busy
	check := func(now, want time.Duration) {
		t.Helper()
		if got := b.Total(func() time.Duration { return now }); got != want {
			t.Errorf("at %d it is %d, want %d", now, got, want)
		}
	}
	check(100, 0)
	b.Wake(100)
	check(100, 0)
	check(107, 7) // the turn under way
	b.Sleep(110)
	check(200, 10)
	b.Wake(200)
	b.Sleep(200)
	check(300, 10)
	b.Wake(300)
	check(305, 15)
}

// A loop that falls asleep reads the clock first and says so then; in between it is
// taken for awake.
func TestBusyThatWasShownStays(t *testing.T) {
	t.Parallel()
	var b Busy
	at := func(now time.Duration) func() time.Duration { return func() time.Duration { return now } }
	b.Wake(100)
	if got := b.Total(at(110)); got != 10 {
		t.Fatalf("it is %d", got)
	}
	b.Sleep(105)
	if got := b.Total(at(200)); got != 10 {
		t.Errorf("it is %d after 10", got)
	}
	b.Wake(200)
	if got := b.Total(at(209)); got != 14 {
		t.Errorf("it is %d, want the 5 before and 9", got)
	}
}

// A reader that is held up between the word and the clock must not take sleep for work.
func TestBusyOfAReaderThatIsHeldUp(t *testing.T) {
	t.Parallel()
	var b Busy
	b.Wake(100)
	first := true
	got := b.Total(func() time.Duration {
		if first {
			first = false
			b.Sleep(105)
		}
		return 1000
	})
	if got != 5 {
		t.Errorf("it is %d, want 5", got)
	}
}

// A reading that goes back would look like a new process, and make the rate jump.
func TestBusyNeverGoesBack(t *testing.T) {
	t.Parallel()
	var b Busy
	start := time.Now().Add(-time.Second)
	now := func() time.Duration { return time.Since(start) }
	var stop atomic.Bool
	var loop sync.WaitGroup
	loop.Go(func() {
		for !stop.Load() {
			b.Wake(now())
			b.Sleep(now())
		}
	})
	var last time.Duration
	for range 20_000 {
		got := b.Total(now)
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
