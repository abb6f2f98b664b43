package netpoll

import "time"

// slowAfter is what makes a client slow: for so long without a break something has
// been waiting for it.
const slowAfter = time.Second

// progress says how a client takes what is written to it, from when the kernel
// takes no more for the first time until all is written. The zero value: the
// kernel takes everything. Times are since the server started.
//
// A client takes something when it acknowledges bytes, and not when our kernel
// takes some: that buffers up to 96 KB for a client that is dead, and then takes
// nothing from a client that reads 500 bytes a second, for the half minute until
// 16 KiB of these have left. Acknowledged is what has reached the client's kernel.
// That has a buffer too, but one that is full soon when nobody reads from it.
type progress struct {
	behind  time.Duration // since when something waits; 0: nothing does
	stalled time.Duration // since when the kernel takes nothing more; 0: it does
	taken   time.Duration // when the client was seen to take something, or the kernel did
	unacked int           // bytes that it had not acknowledged by then
	looked  time.Duration // when that was looked at
}

// stall notes that the kernel takes no more now, with so many bytes not acknowledged.
func (p *progress) stall(now time.Duration, unacked int) {
	if p.behind == 0 {
		p.behind = now
	}
	p.stalled, p.taken, p.looked, p.unacked = now, now, now, unacked
}

// resume notes that the kernel has taken something.
func (p *progress) resume() { p.stalled = 0 }

// look notes how many bytes are not acknowledged while the kernel takes no more.
func (p *progress) look(now time.Duration, unacked int) {
	p.looked = now
	if unacked < p.unacked {
		p.unacked, p.taken = unacked, now
	}
}

// idle returns for how long the client has taken nothing, while the kernel takes no
// more.
func (p *progress) idle(now time.Duration) time.Duration {
	if p.stalled == 0 {
		return 0
	}
	return now - p.taken
}

// slow reports whether something has been waiting for slowAfter, without a break.
func (p *progress) slow(now time.Duration) bool { return p.behind != 0 && now-p.behind >= slowAfter }
