package netpoll

import (
	"context"
	"fmt"
	"time"
)

// The watchdog checks every second that each loop answers, while any client is connected, and no handover has the loops stand still: that has a
// limit of its own, which with many connections is longer.
const (
	watchEvery   = time.Second
	missesToFail = 5
)

// watchLoops is the watchdog's goroutine. It runs until Shutdown begins.
func (s *Server) watchLoops() {
	misses := make([]int, len(s.loops))
	for {
		select {
		case <-s.done:
			return
		case <-s.firstSocket:
		}
		clear(misses)
		ticker := time.NewTicker(watchEvery)
		ok := s.watchWhileConnected(ticker.C, misses)
		ticker.Stop()
		if !ok {
			return
		}
	}
}

// watchWhileConnected checks the loops until no client is connected. It returns false when the server ends.
func (s *Server) watchWhileConnected(tick <-chan time.Time, misses []int) bool {
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
		still := s.still.Load()
		for i, l := range s.loops {
			if still || l.alive.Load() {
				misses[i] = 0
			}
			if misses[i] >= missesToFail {
				s.fail(fmt.Errorf("%w: loop %d is silent for %d seconds", ErrLoopStuck, l.index, misses[i]))
				return false
			}
		}
	}
	return true
}

// CheckLoops returns nil once every loop has run a task, or an error that wraps ErrLoopStuck when ctx ends first. It wakes
// sleeping loops, so it should not be called often. After Shutdown it fails. Any goroutine.
func (s *Server) CheckLoops(ctx context.Context) error {
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
