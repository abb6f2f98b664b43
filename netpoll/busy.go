package netpoll

import (
	"sync/atomic"
	"time"
)

// busyTime is how long a loop's goroutine has been awake: at work, or waiting for
// its turn, which whoever writes for it holds for a few writes. One word holds all of
// it, so that anybody can read it at any instant and never sees it go back:
//
//	asleep  the time until now, 0 or more
//	awake   minus the moment at which a loop would have woken that never slept since
//
// The loop's goroutine writes, by the server's clock, which is above zero always.
type busyTime struct {
	word atomic.Int64
}

// wake notes that the loop is awake since a moment.
func (b *busyTime) wake(at time.Duration) { b.word.Store(-int64(at - time.Duration(b.word.Load()))) }

// sleep notes that the loop sleeps from a moment on.
func (b *busyTime) sleep(at time.Duration) { b.word.Store(int64(at) + b.word.Load()) }

// total returns the time until now, that of the turn under way included: a loop that
// hangs shows up as busy. Any goroutine.
func (b *busyTime) total(now func() time.Duration) time.Duration {
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
