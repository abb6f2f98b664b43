package netpoll

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestAnswers(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	if err := r.server.Answers(t.Context()); err != nil {
		t.Errorf("with nobody connected: %v", err)
	}
	release := r.server.loops[1].hold()
	defer release()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := r.server.Answers(ctx); !errors.Is(err, ErrLoopStuck) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a loop that hangs: %v", err)
	}
	release()
	if err := r.server.Answers(t.Context()); err != nil {
		t.Errorf("when it is back: %v", err)
	}
}

func TestNobodyAnswersAfterShutdown(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	if err := r.server.Shutdown(t.Context(), GoingAway()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := r.server.Answers(ctx); !errors.Is(err, ErrLoopStuck) {
		t.Errorf("%v, want that a loop does not answer", err)
	}
}

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

// A loop that falls asleep reads the clock first and says so then; in between it is
// taken for awake.
func TestBusyTimeThatWasShownStays(t *testing.T) {
	t.Parallel()
	var b busyTime
	at := func(now time.Duration) func() time.Duration { return func() time.Duration { return now } }
	b.wake(100)
	if got := b.total(at(110)); got != 10 {
		t.Fatalf("it is %d", got)
	}
	b.sleep(105)
	if got := b.total(at(200)); got != 10 {
		t.Errorf("it is %d after 10", got)
	}
	b.wake(200)
	if got := b.total(at(209)); got != 14 {
		t.Errorf("it is %d, want the 5 before and 9", got)
	}
}

// A reader that is held up between the word and the clock must not take sleep for work.
func TestBusyTimeOfAReaderThatIsHeldUp(t *testing.T) {
	t.Parallel()
	var b busyTime
	b.wake(100)
	first := true
	got := b.total(func() time.Duration {
		if first {
			first = false
			b.sleep(105)
		}
		return 1000
	})
	if got != 5 {
		t.Errorf("it is %d, want 5", got)
	}
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
