package subs

import (
	"sync"

	"roost/redisfeed/internal/boottime"
)

// LinkLost notes that a link has ended, with which what was published since then may be lost. Its users are unsubscribed.
// Their waiters wait for the next link, unless useless says that this has taken too long. It returns how many users have
// connections that may miss something from now on and might not before.
func (s *Subscriptions) LinkLost(link uint16, since boottime.Instant, useless bool) (lost int) {
	for i := range s.shards {
		waiters, n := s.linkLostInShard(&s.shards[i], link, since, useless)
		Tell(waiters)
		lost += n
	}
	s.Notify()
	return lost
}

func (s *Subscriptions) linkLostInShard(sh *shard, link uint16, since boottime.Instant, useless bool) (waiters []Waiter, lost int) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	users := make(map[string]subscription)
	for user, u := range sh.users.All() {
		if u.state != unsubscribed && u.link == link {
			users[user] = u
		}
	}
	for user, u := range users {
		switch {
		case u.conns == 0:
			s.remove(sh, user, u)
		default:
			if !u.lost {
				lost++
			}
			if useless {
				waiters = append(waiters, sh.takeWaiters(user)...)
			}
			s.lose(&u, since)
			s.unsubscribe(sh, user, u)
		}
	}
	return waiters, lost
}

// Dropped notes that Redis has unsubscribed a user unasked, who is in no queue then: Requeue has to follow. Notifications
// published since then may be lost.
func (s *Subscriptions) Dropped(user string, link uint16, since boottime.Instant) {
	sh := s.shard(user)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	u, ok := sh.users.Find(user)
	switch {
	case !ok || u.link != link || u.state == unsubscribed:
	case u.conns == 0:
		s.remove(sh, user, u)
	default:
		s.lose(&u, since)
		s.set(&u, unsubscribed)
		sh.users.Put(user, u)
	}
}

// TellWaiters tells all waiters: for links that are away, waiting is of no use.
func (s *Subscriptions) TellWaiters() {
	now := boottime.Now()
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		var all []Waiter
		for user, waiters := range sh.waiters {
			all = append(all, waiters...)
			u := sh.users.Get(user)
			s.lose(&u, now)
			sh.users.Put(user, u)
		}
		sh.waiters = nil
		sh.mu.Unlock()
		Tell(all)
	}
}

// Lost is how many users have connections that may have missed something.
func (s *Subscriptions) Lost() int { return s.losses.count() }

// FirstLoss reports whether it is called for the first time since there are users who may have missed something.
func (s *Subscriptions) FirstLoss() bool { return s.losses.first() }

// lose notes that a user's connections may have missed what was published since then. The caller holds the shard's mu, and
// stores u.
func (s *Subscriptions) lose(u *subscription, since boottime.Instant) {
	if u.lost {
		s.losses.widen(since)
		return
	}
	u.lost = true
	s.losses.add(since)
}

// found takes lose back. It returns since when something may be missing, 0 if nothing is.
func (s *Subscriptions) found(u *subscription) (since boottime.Instant) {
	if !u.lost {
		return 0
	}
	u.lost = false
	return s.losses.take()
}

// losses is the users whose connections may have missed something, and since when. Any goroutine; its lock is the
// innermost.
type losses struct {
	mu      sync.Mutex
	users   int              // guarded by mu
	since   boottime.Instant // guarded by mu: of the first of them; none without users
	counted bool             // guarded by mu: as a gap
}

// add adds a user who may have missed what was published since then.
func (l *losses) add(since boottime.Instant) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.users++
	l.since = boottime.Earlier(l.since, since)
}

// take takes a user out, and returns since when something may be missing: rather too early than too late, since it is
// the same for all.
func (l *losses) take() (since boottime.Instant) {
	l.mu.Lock()
	defer l.mu.Unlock()
	since = l.since
	if l.users--; l.users == 0 {
		l.since, l.counted = 0, false
	}
	return since
}

// widen makes since no later than that, for the users who are in already.
func (l *losses) widen(since boottime.Instant) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.users > 0 {
		l.since = boottime.Earlier(l.since, since)
	}
}

// count is how many users may have missed something.
func (l *losses) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.users
}

// first reports whether this is the first time that it is called since the first of the users came in.
func (l *losses) first() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.counted
	l.counted = l.users > 0
	return !was
}
