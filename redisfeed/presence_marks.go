package redisfeed

import "time"

// largeMap is from how many entries on an empty map is not kept, since it never shrinks.
const largeMap = 4096

// take takes the marks of the registry.
func (p *Presence) take(now time.Time) {
	p.takeAt = time.Time{}
	p.batch = p.registry.TakeChanged(p.batch[:0])
	for _, user := range p.batch {
		p.pending[user] = now
	}
	p.peak = max(p.peak, len(p.pending))
	clear(p.batch)
	if cap(p.batch) > largeMap {
		p.batch = nil
	}
}

// again has what failed written again.
//
// Who has been gone for so long that Redis has forgotten them is let go of. So there are never more marks than users who
// are here, or were within the TTL, however long Redis is away.
func (p *Presence) again(now time.Time) {
	p.retryAt = time.Time{}
	for user, since := range p.failed {
		if _, marked := p.pending[user]; !marked {
			p.pending[user] = since
		}
	}
	p.failed = make(map[string]time.Time)
	for user, since := range p.pending {
		if now.Sub(since) > p.ttl+presenceWait && p.registry.ConnectionsOf(user) == 0 {
			delete(p.pending, user)
		}
	}
	if len(p.pending) == 0 {
		p.pending[nobody] = now // or it would not be known that Redis is back
	}
}

// nobody is no user, and so never here. To write that proves the way to Redis, and changes nothing there.
const nobody = ""

// wrote notes that a user was written.
func (p *Presence) wrote(user string) {
	delete(p.failed, user)
	if _, marked := p.pending[user]; !marked {
		return
	}
	if n := len(p.pending); n > 1 || p.peak < largeMap {
		delete(p.pending, user)
		return
	}
	p.pending, p.peak = make(map[string]time.Time), 0
}

// didNotWrite notes that a user is to be written later.
func (p *Presence) didNotWrite(user string, now time.Time) {
	since, marked := p.pending[user]
	if !marked {
		since = now
	}
	p.failed[user] = since
	delete(p.pending, user)
}
