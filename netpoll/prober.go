package netpoll

import (
	"fmt"
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
