package redisfeed

import "roost/redisfeed/internal/boottime"

// loseLink notes that a link has ended, with which what was published since then may be lost. Its members are unheard. Who
// waits for them waits for the next link, unless it is of no use any more. It returns how many have connections that may
// miss something from now on: those that might before are not among them.
func (a *audience) loseLink(link uint16, since boottime.Instant, useless bool) (lost int) {
	for i := range a.shards {
		waiters, n := a.loseInShard(&a.shards[i], link, since, useless)
		release(waiters)
		lost += n
	}
	a.notify()
	return lost
}

func (a *audience) loseInShard(s *audienceShard, link uint16, since boottime.Instant, useless bool) (waiters []Waiter, lost int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for user, m := range s.members {
		switch {
		case m.state == unheard || m.link != link:
		case m.conns == 0:
			a.remove(s, user, m)
		default:
			if !m.lost {
				lost++
			}
			if useless {
				waiters = append(waiters, s.takeWaiters(user)...)
			}
			a.lose(&m, since)
			a.toQueue(s, user, m)
		}
	}
	return waiters, lost
}

// refused notes that Redis has not subscribed a user, who is unheard, but in no queue: again puts it there. Who waits
// goes on waiting.
func (a *audience) refused(user string, link uint16) {
	s := a.shard(user)
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.members[user]
	if ok && m.state == asked && m.link == link {
		a.turn(&m, unheard)
		s.members[user] = m
	}
}

// dropped notes that Redis has unsubscribed a user by itself, who is in no queue then, as with refused. Since is since when
// what was published may be lost.
func (a *audience) dropped(user string, link uint16, since boottime.Instant) {
	s := a.shard(user)
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.members[user]
	switch {
	case !ok || m.link != link || m.state == unheard:
	case m.conns == 0:
		a.remove(s, user, m)
	default:
		a.lose(&m, since)
		a.turn(&m, unheard)
		s.members[user] = m
	}
}

// settleWaiters lets everybody go who waits: for links that are not there it is of no use.
func (a *audience) settleWaiters() {
	now := boottime.Now()
	for i := range a.shards {
		s := &a.shards[i]
		s.mu.Lock()
		var all []Waiter
		for user, waiters := range s.waiters {
			all = append(all, waiters...)
			m := s.members[user]
			a.lose(&m, now)
			s.members[user] = m
		}
		s.waiters = nil
		s.mu.Unlock()
		release(all)
	}
}
