package redisfeed

import (
	"time"

	"golang.org/x/sys/unix"
)

// pace keeps two reads at least a window apart, so that what comes within it is one batch. A message that comes after a
// while of silence waits for nothing, and neither does what did not fit into a read. It is a plain value of the reader.
type pace struct {
	window time.Duration // 0: none
	sleep  func(time.Duration)
	last   time.Time // when a read returned that was not full
}

// wait is called before a read.
func (p *pace) wait() {
	if p.window <= 0 {
		return
	}
	if wait := p.window - time.Since(p.last); wait > 0 {
		p.sleep(wait)
	}
}

// read is called after one. full says that there is more: to wait would be to fall behind.
func (p *pace) read(full bool) {
	switch {
	case p.window <= 0:
	case full:
		p.last = time.Time{}
	default:
		p.last = time.Now()
	}
}

// sleepOnThread sleeps to the tenth of a millisecond, where Go's timers, when nothing else goes on, count whole ones.
func sleepOnThread(d time.Duration) {
	t := unix.NsecToTimespec(d.Nanoseconds())
	_ = unix.Nanosleep(&t, nil)
}
