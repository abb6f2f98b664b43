package presence

import "time"

// largeMap is from how many entries on an empty map is not kept, since it never shrinks.
const largeMap = 4096

// change is what is known of a user who is to be written, beside what is true when that is done.
type change struct {
	since time.Time // when the mark was taken
	// told: before, the user was written as here, and who listens knows it. If Redis has forgotten the user since, because
	// the time ran out, who listens was not told that; so a user who goes is told of all the same.
	told bool
}

// take takes the marks of the registry.
func (p *Writer) take(now time.Time) {
	p.takeAt = time.Time{}
	p.registry.TakeChanged(func(user string, was bool) { p.mark(user, was, now) })
	p.peak = max(p.peak, len(p.pending))
}

// mark has a user written. What was not written yet was not told either.
func (p *Writer) mark(user string, was bool, now time.Time) {
	before, waits := p.pending[user]
	if !waits {
		before, waits = p.failed[user]
	}
	if waits {
		was = before.told
	}
	delete(p.failed, user)
	p.pending[user] = change{since: now, told: was}
}

// again has what failed written again.
//
// Who has been gone for so long that Redis has forgotten them is let go of. So there are never more marks than users who
// are here, or were within the TTL, however long Redis is away.
func (p *Writer) again(now time.Time) {
	p.retryAt = time.Time{}
	for user, mark := range p.failed {
		if _, marked := p.pending[user]; !marked {
			p.pending[user] = mark
		}
	}
	p.failed = make(map[string]change)
	for user, mark := range p.pending {
		if now.Sub(mark.since) > p.ttl+answerLimit && p.registry.ConnectionsOf(user) == 0 {
			delete(p.pending, user)
		}
	}
	if len(p.pending) == 0 {
		p.pending[nobody] = change{since: now} // or it would not be known that Redis is back
	}
}

// nobody is no user, and so never here. To write that proves the way to Redis, and changes nothing there.
const nobody = ""

// wrote notes that a user was written.
func (p *Writer) wrote(user string) {
	delete(p.failed, user)
	if _, marked := p.pending[user]; !marked {
		return
	}
	if n := len(p.pending); n > 1 || p.peak < largeMap {
		delete(p.pending, user)
		return
	}
	p.pending, p.peak = make(map[string]change), 0
}

// didNotWrite notes that a user is to be written later.
func (p *Writer) didNotWrite(user string, now time.Time) {
	mark, marked := p.pending[user]
	if !marked {
		mark = change{since: now, told: true} // a renewal
	}
	p.failed[user] = mark
	delete(p.pending, user)
}
