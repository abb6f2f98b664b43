package presence

import (
	"time"

	"roost/internal/shrinkmap"
)

// change is what is known of a user who is to be written, beside what is true when that is done.
type change struct {
	since time.Time // when the mark was taken
	// told: before, the user was written as here, and who listens knows it. If Redis has forgotten the user since, because
	// the time ran out, who listens was not told that; so a user who goes is told of all the same.
	told bool
	// maybe: the user was sent as here, and there was no answer. Redis may have told of it, and nobody here knows.
	maybe bool
}

// take takes the marks of the registry.
func (p *Writer) take(now time.Time) {
	p.takeAt = time.Time{}
	p.registry.TakeChanged(func(user string, was bool) { p.mark(user, was, now) })
}

// mark has a user written. A change that was not written yet was not told either.
func (p *Writer) mark(user string, was bool, now time.Time) {
	before, waits := p.pending.Find(user)
	if !waits {
		before, waits = p.failed.Find(user)
	}
	if waits {
		was = before.told
	}
	p.failed.Delete(user)
	p.pending.Put(user, change{since: now, told: was, maybe: before.maybe})
}

// markAll has all users written who are here.
func (p *Writer) markAll(now time.Time) {
	var users []string
	for part := range p.registry.Shards() {
		users = p.registry.AppendUsers(part, users[:0])
		for _, user := range users {
			p.mark(user, true, now)
		}
	}
}

// again has what failed written again.
//
// Users who have been gone for longer than Redis remembers them are dropped. So there are never more marks than users who
// are here, or were within the TTL, however long Redis is away.
func (p *Writer) again(now time.Time) {
	p.retryAt = time.Time{}
	for user, mark := range p.failed.All() {
		if _, marked := p.pending.Find(user); !marked {
			p.pending.Put(user, mark)
		}
	}
	p.failed = shrinkmap.Map[string, change]{}
	var forgotten []string
	for user, mark := range p.pending.All() {
		if now.Sub(mark.since) > p.ttl+answerLimit && p.registry.ConnectionsOf(user) == 0 {
			forgotten = append(forgotten, user)
			if p.list != nil && user != nobody && (mark.told || mark.maybe) {
				p.list.forgot = true
			}
		}
	}
	for _, user := range forgotten {
		p.pending.Delete(user)
	}
	if p.pending.Len() == 0 {
		p.pending.Put(nobody, change{since: now}) // or it would not be known that Redis is back
	}
}

// nobody is no user, and so never connected. Writing it proves the way to Redis and changes nothing there.
const nobody = ""

// wrote notes that a user was written.
func (p *Writer) wrote(user string) {
	p.failed.Delete(user)
	p.pending.Delete(user)
}

// didNotWrite notes that a user is to be written later.
func (p *Writer) didNotWrite(one failed, now time.Time) {
	mark, marked := p.pending.Find(one.user)
	if !marked {
		mark = change{since: now, told: true} // a renewal
	}
	mark.maybe = mark.maybe || one.sent && !mark.told
	p.failed.Put(one.user, mark)
	p.pending.Delete(one.user)
}
