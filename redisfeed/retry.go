package redisfeed

import "time"

// retry decides when to connect again and when to give up. It is a plain value of Run's goroutine: time is an
// argument, nothing in it waits.
type retry struct {
	max   int           // failed attempts in a row before giving up; 0 is no limit
	delay time.Duration // between attempts, and the least time between two links

	failures int       // attempts that failed since a link was last up
	upSince  time.Time // of the latest link
	lostAt   time.Time // of the latest link; zero before the first loss
}

// connected forgets the failures. It returns how long there was no link: since the last one was lost, or 0 for the
// first.
func (r *retry) connected(now time.Time) (gone time.Duration) {
	if !r.lostAt.IsZero() {
		gone = now.Sub(r.lostAt)
	}
	r.failures = 0
	r.upSince = now
	return gone
}

// lost notes that a link which was up has ended, and returns how long to wait before the first attempt: not at all,
// unless the link was younger than the delay.
func (r *retry) lost(now time.Time) (wait time.Duration) {
	r.lostAt = now
	return max(0, r.delay-now.Sub(r.upSince))
}

// failed counts an attempt that brought no link. It returns how long to wait before the next, or more = false when
// that was the last.
func (r *retry) failed() (wait time.Duration, more bool) {
	r.failures++
	if r.max > 0 && r.failures >= r.max {
		return 0, false
	}
	return r.delay, true
}
