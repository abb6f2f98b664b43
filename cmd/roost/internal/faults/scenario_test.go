package faults

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"roost/redisfeed/redistest"
)

// scenario is one way to fail.
type scenario struct {
	name string

	// fail makes it happen, and mends what is to be mended. It returns when nothing is wrong any more but what the
	// server has to find out by itself.
	fail func(t *testing.T, s *stand) (well time.Time)

	all, sharded int    // rounds of a full run, with pattern and user each, and with sharded
	short        string // the feeds that have one round of a short run: each of those that take ten seconds has one feed
}

// rounds is how often it happens.
func (f scenario) rounds(feed string, full bool) int {
	switch {
	case full && feed == "sharded":
		return f.sharded
	case full:
		return f.all
	case strings.Contains(f.short, feed):
		return 1
	}
	return 0
}

// Pauses that are longer than the 8 s after which a silent link is given up. The server is stopped for longer than that
// too: then it finds out late what happened long before.
const (
	redisStands = 11 * time.Second
	roostStands = 12 * time.Second
)

func scenarios() []scenario {
	return []scenario{
		{name: "Redis is killed, and back at once", all: 8, sharded: 4, short: "pattern user sharded", fail: func(_ *testing.T, s *stand) time.Time {
			server := s.victim()
			server.Kill()
			server.Restart()
			return time.Now()
		}},
		{name: "Redis is killed, and back after 2 s", all: 5, sharded: 3, short: "pattern user sharded", fail: func(t *testing.T, s *stand) time.Time {
			server := s.victim()
			server.Kill()
			s.elapse(2 * time.Second)
			server.Restart()
			return time.Now()
		}},
		{name: "Redis cuts its subscribers: too much waits for them", all: 5, sharded: 3, short: "pattern user sharded", fail: func(t *testing.T, s *stand) time.Time {
			s.fill(t, 2<<20)
			return time.Now()
		}},
		{name: "Redis stands still for 11 s (SIGSTOP)", all: 2, sharded: 2, short: "pattern", fail: func(t *testing.T, s *stand) time.Time {
			server := s.victim()
			server.Pause()
			s.elapse(redisStands)
			server.Resume()
			return time.Now()
		}},
		{name: "The connection dies without a word (half-open)", all: 2, short: "user", fail: func(t *testing.T, s *stand) time.Time {
			s.relay.Die()
			return time.Now()
		}},
		{name: "Roost stands still for 12 s (SIGSTOP), and Redis cuts it", all: 2, sharded: 2, short: "sharded", fail: func(t *testing.T, s *stand) time.Time {
			s.roost.Signal(syscall.SIGSTOP)
			begun := time.Now()
			for !s.cut(t) { // what the kernel takes for it comes first
				s.fill(t, 256<<10)
			}
			s.elapse(roostStands - time.Since(begun))
			s.roost.Signal(syscall.SIGCONT)
			return time.Now()
		}},
	}
}

// victim is the Redis that something happens to: the only one, or each master of a cluster in its turn.
func (s *stand) victim() *redistest.Server {
	s.turn++
	return s.servers[s.turn%len(s.servers)]
}
