package netpoll

import (
	"sync/atomic"
	"time"
)

// busyTime is how long a loop's goroutine has been awake: at work, or waiting for
// its turn, which whoever writes for it holds for a few writes. One word holds all of
// it, so that anybody can read it at any instant:
//
//	asleep  the time until now, 0 or more
//	awake   minus the moment at which a loop would have woken that never slept since
//
// The loop's goroutine writes, by the server's clock, which is above zero always.
type busyTime struct {
	word  atomic.Int64
	shown atomic.Int64 // the most that was ever read; readers write it
}

// wake notes that the loop is awake since a moment.
func (b *busyTime) wake(at time.Duration) { b.word.Store(-int64(at - time.Duration(b.word.Load()))) }

// sleep notes that the loop sleeps from a moment on.
func (b *busyTime) sleep(at time.Duration) { b.word.Store(int64(at) + b.word.Load()) }

// total returns the time until now, that of the turn under way included: a loop that
// hangs shows up as busy. It never goes back, which would look like a new process:
// a loop that has read the clock to fall asleep, and has not said so yet, may have
// been taken for awake a moment longer. Any goroutine.
func (b *busyTime) total(now func() time.Duration) time.Duration {
	total := int64(b.read(now))
	for {
		shown := b.shown.Load()
		if total <= shown {
			return time.Duration(shown)
		}
		if b.shown.CompareAndSwap(shown, total) {
			return time.Duration(total)
		}
	}
}

func (b *busyTime) read(now func() time.Duration) time.Duration {
	for {
		before := b.word.Load()
		at := now()
		if b.word.Load() != before {
			continue // the loop woke or slept meanwhile, microseconds ago
		}
		if before < 0 {
			return at + time.Duration(before)
		}
		return time.Duration(before)
	}
}
