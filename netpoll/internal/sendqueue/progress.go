package sendqueue

import "time"

// SlowAfter is what makes a client slow: for so long without a break something has
// been waiting for it.
const SlowAfter = time.Second

// Progress says how a client takes what is written to it, from when the kernel
// takes no more for the first time until all is written. The zero value: the
// kernel takes everything. Times are since the server started.
//
// A client takes something when it acknowledges bytes, and not when our kernel
// takes some: that buffers up to 96 KB for a client that is dead, and then takes
// nothing from a client that reads 500 bytes a second, for the half minute until
// 16 KiB of these have left. Acknowledged is what has reached the client's kernel.
// That has a buffer too, but one that is full soon when nobody reads from it.
type Progress struct {
	behind  time.Duration // since when something waits; 0: nothing does
	stalled time.Duration // since when the kernel takes nothing more; 0: it does
	taken   time.Duration // when the client was seen to take something, or the kernel did
	unacked int           // bytes that it had not acknowledged by then
	looked  time.Duration // when that was looked at
}

// Stall notes that the kernel takes no more now, with so many bytes not acknowledged.
func (p *Progress) Stall(now time.Duration, unacked int) {
	if p.behind == 0 {
		p.behind = now
	}
	p.stalled, p.taken, p.looked, p.unacked = now, now, now, unacked
}

// Resume notes that the kernel has taken something.
func (p *Progress) Resume() { p.stalled = 0 }

// Look notes how many bytes are not acknowledged while the kernel takes no more.
func (p *Progress) Look(now time.Duration, unacked int) {
	p.looked = now
	if unacked < p.unacked {
		p.unacked, p.taken = unacked, now
	}
}

// Idle returns for how long the client has taken nothing, while the kernel takes no
// more.
func (p *Progress) Idle(now time.Duration) time.Duration {
	if p.stalled == 0 {
		return 0
	}
	return now - p.taken
}

// Slow reports whether something has been waiting for SlowAfter, without a break.
func (p *Progress) Slow(now time.Duration) bool { return p.behind != 0 && now-p.behind >= SlowAfter }

// Stalled reports whether the kernel takes no more.
func (p *Progress) Stalled() bool { return p.stalled != 0 }

// Behind reports whether something has been waiting since the kernel took no more.
func (p *Progress) Behind() bool { return p.behind != 0 }

// Excuse has the time that a client may take nothing begin at a moment that has passed, unless it began later.
func (p *Progress) Excuse(since time.Duration) { p.taken = max(p.taken, since) }

// LookedAgo returns how long ago it was looked at what is not acknowledged.
func (p *Progress) LookedAgo(now time.Duration) time.Duration { return now - p.looked }

// LookAt returns when to look next at a client that may take nothing for wait: eight times
// in that, so that one which takes nothing any more is found so little late, and when it is over.
// The first look is no sooner: what it finds counts from then on, and clients that read 500 bytes
// a second acknowledge something just a second or two after wait.
func (p *Progress) LookAt(wait time.Duration) time.Duration {
	return min(p.looked+wait/8, p.taken+wait)
}
