package presence

import (
	"sync/atomic"
	"time"
)

// Status is what a Writer says about itself at one moment.
type Status struct {
	Written uint64 // users that were written: who came, who went, and who was renewed
	Failed  uint64 // times that Redis did not take one

	Reported uint64 // users of instances that have died, whose state this one has told

	Pending int // users to write that are known of now

	// FailingFor is how long writing has not worked, 0 while it does.
	FailingFor time.Duration
}

// Status says how it is. Any goroutine; it never waits for Redis.
func (p *Writer) Status() Status {
	return Status{
		Written: p.meter.written.Load(), Failed: p.meter.failed.Load(), Pending: int(p.meter.pending.Load()), Reported: p.meter.reported.Load(),
		FailingFor: p.meter.failingFor(time.Now()),
	}
}

// meter collects what Status shows. Run's goroutine writes it, any may read it.
type meter struct {
	started time.Time // static

	written, failed, reported atomic.Uint64
	pending                   atomic.Int64
	failing                   atomic.Int64 // since when, in nanoseconds after started; 0: it works
}

// fails notes that something could not be written, and says whether that is new.
func (m *meter) fails(now time.Time) (begins bool) {
	return m.failing.CompareAndSwap(0, max(1, int64(now.Sub(m.started))))
}

// works notes that all could be written, and says for how long it could not: 0 if it could before.
func (m *meter) works(now time.Time) (gone time.Duration) {
	gone = m.failingFor(now)
	m.failing.Store(0)
	return gone
}

func (m *meter) failingFor(now time.Time) time.Duration {
	since := m.failing.Load()
	if since == 0 {
		return 0
	}
	return max(1, now.Sub(m.started)-time.Duration(since))
}
