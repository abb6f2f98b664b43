package boottime

import "golang.org/x/sys/unix"

// Now is the present instant.
func Now() Instant {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) // fails for bad arguments only
	return Instant(t.Nano())
}
