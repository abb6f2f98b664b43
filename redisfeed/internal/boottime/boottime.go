// Package boottime has moments on a clock that nobody sets, and that goes on while the machine is suspended.
package boottime

import "time"

// Instant is a moment of CLOCK_BOOTTIME, in nanoseconds. 0 stands for no instant. The beginning of a gap is kept like
// this: somebody may set the wall clock before the gap is told.
type Instant int64

// Add is the instant d later.
func (i Instant) Add(d time.Duration) Instant { return i + Instant(d) }

// Wall is when the instant was, by the current setting of the wall clock.
func (i Instant) Wall() time.Time { return time.Now().Add(time.Duration(i - Now())) }

// Earlier is the earlier of two instants, of which either may be none.
func Earlier(a, b Instant) Instant {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
