package subs

import (
	"time"

	"roost/redisfeed/internal/boottime"
)

// Next appends to dst users who are unsubscribed, max at most, and takes them out of the queue.
func (s *Subscriptions) Next(dst []string, max int) []string {
	for i := range s.shards {
		if dst = s.shards[i].next(dst, max); len(dst) == max {
			break
		}
	}
	return dst
}

func (sh *shard) next(dst []string, max int) []string {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	taken := 0
	for _, user := range sh.queue {
		if len(dst) == max {
			break
		}
		taken++
		if u, ok := sh.users.Find(user); ok && u.state == unsubscribed {
			dst = append(dst, user)
		}
	}
	if sh.queue = sh.queue[taken:]; len(sh.queue) == 0 {
		sh.queue = nil // after a storm the memory must go
	}
	return dst
}

// enqueue puts an unsubscribed user into the queue. While Redis is away users come and go and nobody takes them out: the
// queue is bounded by the users. The caller holds sh.mu, and stores the entry.
func (sh *shard) enqueue(user string) {
	if len(sh.queue) > 64+2*sh.users.Len() {
		sh.queue = sh.queue[:0]
		for user, u := range sh.users.All() {
			if u.state == unsubscribed {
				sh.queue = append(sh.queue, user)
			}
		}
	}
	sh.queue = append(sh.queue, user)
}

// Requeue puts users back into the queue.
func (s *Subscriptions) Requeue(users []string) {
	for _, user := range users {
		sh := s.shard(user)
		sh.mu.Lock()
		sh.enqueue(user)
		sh.mu.Unlock()
	}
	s.Notify()
}

// Subscribing notes that SUBSCRIBE is about to be sent on a link. It is false for a user who is not unsubscribed any more:
// then it must not be sent.
func (s *Subscriptions) Subscribing(user string, link uint16) bool {
	sh := s.shard(user)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	u, ok := sh.users.Find(user)
	if !ok || u.state != unsubscribed {
		return false
	}
	s.set(&u, subscribing)
	u.link = link
	sh.users.Put(user, u)
	return true
}

// Confirmed notes that Redis has confirmed a subscription, and tells the waiters. It returns since when the user's
// connections may have missed something, 0 if they have not.
func (s *Subscriptions) Confirmed(user string, link uint16) (lostSince boottime.Instant) {
	sh := s.shard(user)
	sh.mu.Lock()
	u, ok := sh.users.Find(user)
	if !ok || u.state != subscribing || u.link != link {
		sh.mu.Unlock()
		return 0
	}
	s.set(&u, subscribed)
	lostSince = s.found(&u)
	sh.users.Put(user, u)
	waiters := sh.takeWaiters(user)
	sh.mu.Unlock()
	if s.Heard != nil {
		s.Heard(user, lostSince)
	}
	Tell(waiters)
	return lostSince
}

// Ended notes that Redis has confirmed UNSUBSCRIBE. It is false for one that was not sent.
func (s *Subscriptions) Ended(user string, link uint16) bool {
	sh := s.shard(user)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	u, ok := sh.users.Find(user)
	switch {
	case !ok || u.link != link || u.state != unsubscribing:
		return false
	case u.conns == 0:
		s.remove(sh, user, u)
	default: // a connection came in between
		s.unsubscribe(sh, user, u)
	}
	return true
}

// unsubscribe has a user subscribed again. The caller holds sh.mu.
func (s *Subscriptions) unsubscribe(sh *shard, user string, u subscription) {
	s.set(&u, unsubscribed)
	sh.users.Put(user, u)
	sh.enqueue(user)
	s.Notify()
}

// Expired is a user whose subscription is to be ended, and on which link it is.
type Expired struct {
	User string
	Link uint16
}

// Idle reports whether there are users without a connection, for whom Expire has to be called in time.
func (s *Subscriptions) Idle() bool { return s.idle.Load() > 0 }

// Expire appends to dst the users whose delay is over and who are subscribed: UNSUBSCRIBE has to be sent for them.
func (s *Subscriptions) Expire(dst []Expired, now time.Time) []Expired {
	if !s.Idle() {
		return dst
	}
	for i := range s.shards {
		dst = s.expireShard(&s.shards[i], dst, now)
	}
	return dst
}

func (s *Subscriptions) expireShard(sh *shard, dst []Expired, now time.Time) []Expired {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	done := 0
	for _, e := range sh.expiries {
		if e.at.After(now) {
			break
		}
		done++
		if at, ok := sh.expires[e.user]; !ok || !at.Equal(e.at) {
			continue // came back
		}
		switch u := sh.users.Get(e.user); u.state {
		case subscribed:
			delete(sh.expires, e.user)
			s.set(&u, unsubscribing)
			sh.users.Put(e.user, u)
			dst = append(dst, Expired{e.user, u.link})
		case subscribing: // it can be unsubscribed when Redis has answered
			s.expireAt(sh, e.user, now.Add(max(s.delay, MinDelay)))
		case unsubscribed:
			s.remove(sh, e.user, u)
		}
	}
	s.idle.Add(int64(-done))
	if sh.expiries = sh.expiries[done:]; len(sh.expiries) == 0 {
		sh.expiries, sh.expires = nil, nil
	}
	return dst
}

// MinDelay is how soon Expire looks again at a user who cannot be unsubscribed yet.
const MinDelay = 20 * time.Millisecond

// Refused notes that Redis has not subscribed a user, who is unsubscribed then, but in no queue: Requeue has to follow.
// Waiters go on waiting.
func (s *Subscriptions) Refused(user string, link uint16) {
	sh := s.shard(user)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	u, ok := sh.users.Find(user)
	if ok && u.state == subscribing && u.link == link {
		s.set(&u, unsubscribed)
		sh.users.Put(user, u)
	}
}
