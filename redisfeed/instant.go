package redisfeed

import (
	"time"

	"golang.org/x/sys/unix"
)

// instant is a moment on a clock that nobody sets, and that goes on while the machine is suspended (CLOCK_BOOTTIME), in
// nanoseconds. 0 is none. When a gap began is kept like this: the clock on the wall may be set before it is told.
type instant int64

// instantNow is the present instant.
func instantNow() instant {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) // fails for bad arguments only
	return instant(t.Nano())
}

func (i instant) add(d time.Duration) instant { return i + instant(d) }

// wall is when the instant was, by the clock on the wall as it goes now.
func (i instant) wall() time.Time { return time.Now().Add(time.Duration(i - instantNow())) }

// earlier is the earlier of two instants, of which either may be none.
func earlier(a, b instant) instant {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
