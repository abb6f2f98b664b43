package meter

import (
	"sync/atomic"
	"time"
)

// Busy is how long a loop's goroutine has been awake: at work, or waiting for
// its turn, which whoever writes for it holds for a few writes. One word holds all of
// it, so that anybody can read it at any instant:
//
//	asleep  the time until now, 0 or more
//	awake   minus the moment at which a loop would have woken that never slept since
//
// The loop's goroutine writes, by the server's clock, which is above zero always.
type Busy struct {
	word  atomic.Int64
	shown atomic.Int64 // the most that was ever read; readers write it
}

// Wake notes that the loop is awake since a moment.
func (b *Busy) Wake(at time.Duration) { b.word.Store(-int64(at - time.Duration(b.word.Load()))) }

// Sleep notes that the loop sleeps from a moment on.
func (b *Busy) Sleep(at time.Duration) { b.word.Store(int64(at) + b.word.Load()) }

// Total returns the time until now, that of the turn under way included: a loop that
// hangs shows up as busy. It never goes back, which would look like a new process:
// a loop that has read the clock to fall asleep, and has not said so yet, may have
// been taken for awake a moment longer. Any goroutine.
func (b *Busy) Total(now func() time.Duration) time.Duration {
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

func (b *Busy) read(now func() time.Duration) time.Duration {
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
