package webhook

import (
	"sync/atomic"
	"time"
)

// Fate is what became of an event.
type Fate string

// The fates.
const (
	FateSent      Fate = "sent"       // the endpoint has taken it
	FateRefused   Fate = "refused"    // the endpoint has answered that it does not take it
	FateGaveUp    Fate = "gave_up"    // the endpoint has failed for too long
	FateQueueFull Fate = "queue_full" // too many waited
	FateShutdown  Fate = "shutdown"   // it still waited when the server ended
	FateHandover  Fate = "handover"   // the new process of an upgrade has it, and counts it again
)

// Fates are all fates.
func Fates() []Fate {
	return []Fate{FateSent, FateRefused, FateGaveUp, FateQueueFull, FateShutdown, FateHandover}
}

// Status is what a Sender says about itself at one moment. Every event that was pushed or imported is in Events or Waiting.
type Status struct {
	Events   map[string]uint64 // by Fate, each of them
	Requests map[string]uint64 // by Result, each of them
	Waiting  int               // events
	Bytes    int               // that these take

	// FailingFor is how long no request was taken, from the first that failed on; 0 while they are.
	FailingFor time.Duration
}

// Status says how it is. Any goroutine; it waits for no request.
func (s *Sender) Status() Status {
	s.mu.Lock()
	waiting, bytes := s.queue.len(), s.queue.bytes
	s.mu.Unlock()
	status := Status{
		Events: make(map[string]uint64), Requests: make(map[string]uint64),
		Waiting: waiting, Bytes: bytes, FailingFor: s.meter.failingFor(time.Now()),
	}
	for fate, n := range s.meter.events {
		status.Events[string(fate)] = n.Load()
	}
	for result, n := range s.meter.requests {
		status.Requests[string(result)] = n.Load()
	}
	return status
}

// meter collects what Status shows. Any goroutine.
type meter struct {
	// Static; the counters are atomic.

	started  time.Time
	events   map[Fate]*atomic.Uint64
	requests map[Result]*atomic.Uint64

	failing *atomic.Int64 // since when, in nanoseconds after started; 0: it works
}

func newMeter() meter {
	m := meter{started: time.Now(), events: make(map[Fate]*atomic.Uint64), requests: make(map[Result]*atomic.Uint64), failing: new(atomic.Int64)}
	for _, fate := range Fates() {
		m.events[fate] = new(atomic.Uint64)
	}
	for _, result := range Results() {
		m.requests[result] = new(atomic.Uint64)
	}
	return m
}

func (m meter) count(fate Fate, events int) { m.events[fate].Add(uint64(events)) }

// answered counts an answer. It says whether requests work now and did not before, or the other way round, and for how long they
// had failed.
func (m meter) answered(result Result, now time.Time) (failed time.Duration, changed bool) {
	m.requests[result].Add(1)
	failed = m.failingFor(now)
	if result == ResultOK {
		m.failing.Store(0)
		return failed, failed > 0
	}
	return failed, m.failing.CompareAndSwap(0, max(1, int64(now.Sub(m.started))))
}

func (m meter) failingFor(now time.Time) time.Duration {
	since := m.failing.Load()
	if since == 0 {
		return 0
	}
	return max(1, now.Sub(m.started)-time.Duration(since))
}
