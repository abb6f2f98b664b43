package redisfeed

import (
	"time"

	"roost/redisfeed/internal/boottime"
)

// next appends to dst members that are unheard, max at most, and takes them out of their queue.
func (a *audience) next(dst []string, max int) []string {
	for i := range a.shards {
		if dst = a.shards[i].next(dst, max); len(dst) == max {
			break
		}
	}
	return dst
}

func (s *audienceShard) next(dst []string, max int) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := 0
	for _, user := range s.queue {
		if len(dst) == max {
			break
		}
		taken++
		if m, ok := s.members[user]; ok && m.state == unheard {
			dst = append(dst, user)
		}
	}
	if s.queue = s.queue[taken:]; len(s.queue) == 0 {
		s.queue = nil // after a storm the memory must go
	}
	return dst
}

// again puts users back into the queue.
func (a *audience) again(users []string) {
	for _, user := range users {
		s := a.shard(user)
		s.mu.Lock()
		s.enqueue(user)
		s.mu.Unlock()
	}
	a.notify()
}

// ask notes that SUBSCRIBE is about to be sent on a link. It is false for who is not unheard any more.
func (a *audience) ask(user string, link uint16) bool {
	s := a.shard(user)
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.members[user]
	if !ok || m.state != unheard {
		return false
	}
	a.turn(&m, asked)
	m.link = link
	s.members[user] = m
	return true
}

// confirm notes that Redis has confirmed a subscription, and lets go who waits for it. It returns since when the user's
// connections may have missed something; none if they have not.
func (a *audience) confirm(user string, link uint16) (lostSince boottime.Instant) {
	s := a.shard(user)
	s.mu.Lock()
	m, ok := s.members[user]
	if !ok || m.state != asked || m.link != link {
		s.mu.Unlock()
		return 0
	}
	a.turn(&m, heard)
	lostSince = a.found(&m)
	s.members[user] = m
	waiters := s.takeWaiters(user)
	s.mu.Unlock()
	release(waiters)
	return lostSince
}

// hears reports whether a user is heard.
func (a *audience) hears(user string) bool {
	s := a.shard(user)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.members[user].state == heard
}

// takeWaiters removes who waits for a user. The caller holds s.mu.
func (s *audienceShard) takeWaiters(user string) []Waiter {
	waiters := s.waiters[user]
	if delete(s.waiters, user); len(s.waiters) == 0 {
		s.waiters = nil
	}
	return waiters
}

func release(waiters []Waiter) {
	for _, w := range waiters {
		w.Subscribed()
	}
}

// ended notes that Redis has confirmed UNSUBSCRIBE. It is false for one that nobody asked for.
func (a *audience) ended(user string, link uint16) bool {
	s := a.shard(user)
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.members[user]
	switch {
	case !ok || m.link != link || m.state != parting:
		return false
	case m.conns == 0:
		a.remove(s, user, m)
	default: // somebody came in between
		a.toQueue(s, user, m)
	}
	return true
}

// toQueue has a member subscribed to anew. The caller holds s.mu.
func (a *audience) toQueue(s *audienceShard, user string, m member) {
	a.turn(&m, unheard)
	s.members[user] = m
	s.enqueue(user)
	a.notify()
}

// farewell is a member whose subscription is to be ended.
type farewell struct {
	user string
	link uint16
}

// expire appends to dst the members whose time is over and who are heard: UNSUBSCRIBE is about to be sent for them.
func (a *audience) expire(dst []farewell, now time.Time) []farewell {
	if a.left.Load() == 0 {
		return dst
	}
	for i := range a.shards {
		dst = a.expireShard(&a.shards[i], dst, now)
	}
	return dst
}

func (a *audience) expireShard(s *audienceShard, dst []farewell, now time.Time) []farewell {
	s.mu.Lock()
	defer s.mu.Unlock()
	done := 0
	for _, d := range s.order {
		if d.at.After(now) {
			break
		}
		done++
		if at, ok := s.leaving[d.user]; !ok || !at.Equal(d.at) {
			continue // came back
		}
		switch m := s.members[d.user]; m.state {
		case heard:
			delete(s.leaving, d.user)
			a.turn(&m, parting)
			s.members[d.user] = m
			dst = append(dst, farewell{d.user, m.link})
		case asked: // its turn comes when Redis has answered
			a.depart(s, d.user, now.Add(max(a.delay, minStay)))
		case unheard:
			a.remove(s, d.user, m)
		}
	}
	a.left.Add(int64(-done))
	if s.order = s.order[done:]; len(s.order) == 0 {
		s.order, s.leaving = nil, nil
	}
	return dst
}

// minStay is how soon it is looked again whether an UNSUBSCRIBE can be sent.
const minStay = 20 * time.Millisecond
