package redisfeed

// loseLink notes that a link has ended. Its members are unheard, and who waits for them is let go. It returns how many
// have connections that may miss something from now on: those that might before are not among them.
func (a *audience) loseLink(link uint16) (lost int) {
	for i := range a.shards {
		waiters, n := a.loseInShard(&a.shards[i], link)
		release(waiters)
		lost += n
	}
	a.notify()
	return lost
}

func (a *audience) loseInShard(s *audienceShard, link uint16) (waiters []Waiter, lost int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for user, m := range s.members {
		if m.state == unheard || m.link != link {
			continue
		}
		waiters = append(waiters, a.unhear(s, user, m)...)
		if !m.lost && s.members[user].lost {
			lost++
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

// dropped notes that Redis has unsubscribed a user by itself, who is in no queue then, as with refused.
func (a *audience) dropped(user string, link uint16) {
	s := a.shard(user)
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.members[user]
	switch {
	case !ok || m.link != link || m.state == unheard:
	case m.conns == 0:
		a.remove(s, user, m)
	default:
		a.lose(&m)
		a.turn(&m, unheard)
		s.members[user] = m
	}
}

// unhear makes a member unheard, or forgets who has no connection. The caller holds s.mu, and releases the waiters.
func (a *audience) unhear(s *audienceShard, user string, m member) []Waiter {
	if m.conns == 0 {
		a.remove(s, user, m)
		return nil
	}
	waiters := s.takeWaiters(user)
	a.lose(&m)
	a.toQueue(s, user, m)
	return waiters
}

// settleWaiters lets everybody go who waits: for links that are not there it is of no use.
func (a *audience) settleWaiters() {
	for i := range a.shards {
		s := &a.shards[i]
		s.mu.Lock()
		var all []Waiter
		for user, waiters := range s.waiters {
			all = append(all, waiters...)
			m := s.members[user]
			a.lose(&m)
			s.members[user] = m
		}
		s.waiters = nil
		s.mu.Unlock()
		release(all)
	}
}
