package subs

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"roost/internal/wirecodec"
	"roost/redisfeed/internal/boottime"
)

// The subscriptions of a process can go on in another one on this host, which has taken over its links. Connections are not
// part of that: the new process counts its own with Acquire, and ReleaseUnused plans the end of users who have none.

// ErrState is the error for a state that no process writes down.
var ErrState = errors.New("subscriptions that can't be")

// maxUser is more than a user's name may have, in bytes.
const maxUser = 1 << 16

// Append appends the state of all users. None may be about to be sent (Next without Subscribing), and no link's answer about to
// be taken; connections may come and go meanwhile. live reports whether a link is handed over: who is to be subscribed on
// another one has to begin again.
func (s *Subscriptions) Append(dst []byte, now time.Time, live func(link uint16) bool) []byte {
	s.losses.mu.Lock()
	since, counted := s.losses.since, s.losses.counted
	s.losses.mu.Unlock()
	dst = wirecodec.AppendInt(dst, int64(since))
	dst = wirecodec.AppendBool(dst, counted)
	for i := range s.shards {
		dst = s.shards[i].append(dst, now, live)
	}
	return dst
}

// append appends how many users there are, and each.
func (sh *shard) append(dst []byte, now time.Time, live func(link uint16) bool) []byte {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	dst = wirecodec.AppendUint(dst, uint64(sh.users.Len()))
	for user, u := range sh.users.All() {
		if !live(u.link) {
			u.state = unsubscribed
		}
		dst = wirecodec.AppendString(dst, user)
		dst = wirecodec.AppendUint(dst, uint64(u.link))
		dst = wirecodec.AppendUint(dst, uint64(u.state))
		dst = wirecodec.AppendBool(dst, u.lost)
		at, expires := sh.expires[user]
		if dst = wirecodec.AppendBool(dst, expires); expires {
			dst = wirecodec.AppendInt(dst, int64(max(0, at.Sub(now))))
		}
	}
	return dst
}

// saved is a user as Append wrote it.
type saved struct {
	name string
	subscription
	expires bool
	in      time.Duration // with expires
}

// Restore reads what Append wrote, into Subscriptions that have no users. What is wrong is r's error. ReleaseUnused has to follow
// once the connections have been counted.
func (s *Subscriptions) Restore(r *wirecodec.Reader, now time.Time) {
	since, counted := boottime.Instant(r.Int(-1<<62, 1<<62)), r.Bool()
	var all []saved
	for range shardCount {
		for range r.Count(5) {
			u := saved{name: r.String(maxUser)}
			u.link = uint16(r.Uint(1<<16 - 1))
			u.state = state(r.Uint(uint64(states - 1)))
			u.lost = r.Bool()
			if u.expires = r.Bool(); u.expires {
				u.in = time.Duration(r.Int(0, int64(maxDelay)))
			}
			if u.lost && since == 0 {
				r.Fail(ErrState)
			}
			if r.Err() != nil {
				return
			}
			all = append(all, u)
		}
	}
	if r.Err() != nil {
		return
	}
	slices.SortFunc(all, func(a, b saved) int { return cmp.Compare(a.in, b.in) }) // a shard's expiries are in order
	for _, u := range all {
		if !s.restore(u, since, now) {
			r.Fail(ErrState)
			return
		}
	}
	s.losses.mu.Lock()
	defer s.losses.mu.Unlock()
	s.losses.counted = counted && s.losses.users > 0
}

// maxDelay is longer than any time for which a user is kept.
const maxDelay = 1000 * time.Hour

// restore adds a user without connections. It is false for a user who is known already.
func (s *Subscriptions) restore(u saved, since boottime.Instant, now time.Time) bool {
	sh := s.shard(u.name)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if _, known := sh.users.Find(u.name); known {
		return false
	}
	s.counts[u.state].Add(1)
	if u.lost {
		s.losses.add(since)
	}
	sh.users.Put(u.name, u.subscription)
	if u.expires {
		s.expireAt(sh, u.name, now.Add(u.in))
	}
	if u.state == unsubscribed {
		sh.enqueue(u.name)
		s.Notify()
	}
	return true
}

// ReleaseUnused plans the end of users who were restored and have no connection: theirs did not come along.
func (s *Subscriptions) ReleaseUnused(now time.Time) {
	for i := range s.shards {
		s.releaseUnused(&s.shards[i], now)
	}
}

func (s *Subscriptions) releaseUnused(sh *shard, now time.Time) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	var alone []string
	for user, u := range sh.users.All() {
		if _, planned := sh.expires[user]; u.conns == 0 && !planned {
			alone = append(alone, user)
		}
	}
	for _, user := range alone {
		s.expireAt(sh, user, now.Add(s.delay))
	}
}

// Append appends the commands: those that wait for an answer, and those that wait to be sent.
func (c *Commands) Append(dst []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, list := range [][]Command{c.sent, c.waiting} {
		dst = wirecodec.AppendUint(dst, uint64(len(list)))
		for _, command := range list {
			dst = wirecodec.AppendString(dst, command.User)
			dst = wirecodec.AppendBool(dst, command.Unsubscribe)
		}
	}
	return dst
}

// Restore reads what Append wrote. r has the error.
func (c *Commands) Restore(r *wirecodec.Reader) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, list := range []*[]Command{&c.sent, &c.waiting} {
		for range r.Count(2) {
			command := Command{User: r.String(maxUser), Unsubscribe: r.Bool()}
			if r.Err() != nil {
				return
			}
			*list = append(*list, command)
		}
	}
}

// Missed reports whether anybody was let in while there was no link.
func (l *LinkWait) Missed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.missed
}

// Resume is Down for an outage that began in another process: waiting is of use no more. missed is as Missed returned it there.
func (l *LinkWait) Resume(missed bool) {
	l.mu.Lock()
	l.missed = missed
	l.mu.Unlock()
	l.Down()
	l.timer.Stop()
	l.giveUp()
}
