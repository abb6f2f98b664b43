package netpoll

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// A loop that hangs can't say so itself. So each is asked, once a second, for as
// long as anybody is connected.
const (
	probeEvery  = time.Second
	missesToEnd = 5
)

// probeLoops runs until Shutdown begins.
func (s *Server) probeLoops() {
	misses := make([]int, len(s.loops))
	for {
		select {
		case <-s.done:
			return
		case <-s.busy:
		}
		clear(misses)
		ticker := time.NewTicker(probeEvery)
		ok := s.probeWhileBusy(ticker.C, misses)
		ticker.Stop()
		if !ok {
			return
		}
	}
}

// probeWhileBusy asks until nobody is connected; false means that the server
// ends.
func (s *Server) probeWhileBusy(tick <-chan time.Time, misses []int) bool {
	for s.accepts.sockets.Load() > 0 {
		for i, l := range s.loops {
			l.alive.Store(false)
			l.do(func() { l.alive.Store(true) })
			misses[i]++
		}
		select {
		case <-s.done:
			return false
		case <-tick:
		}
		for i, l := range s.loops {
			if l.alive.Load() {
				misses[i] = 0
			}
			if misses[i] >= missesToEnd {
				s.fail(fmt.Errorf("%w: loop %d is silent for %d seconds", ErrLoopStuck, l.index, misses[i]))
				return false
			}
		}
	}
	return true
}

// Answers asks every loop to do something, and returns nil once all have, or an
// error that wraps ErrLoopStuck when ctx ends first. It wakes loops that sleep, so
// it is not for asking often. After Shutdown nobody answers. Any goroutine.
func (s *Server) Answers(ctx context.Context) error {
	answered := make([]chan struct{}, len(s.loops))
	for i, l := range s.loops {
		answered[i] = make(chan struct{})
		l.do(func() { close(answered[i]) })
	}
	for i, done := range answered {
		select {
		case <-done:
		case <-ctx.Done():
			return fmt.Errorf("%w: loop %d: %w", ErrLoopStuck, i, ctx.Err())
		}
	}
	return nil
}

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
