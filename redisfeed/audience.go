package redisfeed

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"roost/redisfeed/internal/boottime"
)

// Waiter waits until what is published for a user is heard.
type Waiter interface {
	// Subscribed says that it is, or that it is of no use to wait. It is called once, without locks, by a goroutine of the
	// feed, and must not wait.
	Subscribed()
}

// hearing is how far the subscription to a user's channel is. Only one command about it is under way at a time.
type hearing uint8

const (
	unheard hearing = iota // SUBSCRIBE has to be sent
	asked                  // SUBSCRIBE is sent, or about to be
	heard                  // Redis has confirmed it
	parting                // UNSUBSCRIBE is sent, or about to be
	hearings
)

// member is a user who has connections here, or had until a moment ago.
type member struct {
	conns int32   // and handshakes
	link  uint16  // on which the user is asked for, heard or parting
	state hearing // of the user's channel
	lost  bool    // the user has connections that may have missed something, until the channel is heard
}

// audience is the users for whom notifications have to be heard: everybody who has a connection here, and those whose
// last one went less than a while ago, so that a page that is loaded anew costs no subscription. It knows how far each
// subscription is; who sends the commands, and on which link, is the [router]'s affair. Any goroutine.
type audience struct {
	delay time.Duration // static: from a user's last connection to UNSUBSCRIBE
	seed  maphash.Seed  // static
	work  chan struct{} // capacity 1: somebody is unheard, or leaves

	link   *linkWait              // static: says whether it is of use to wait for a confirmation
	lost   losses                 // members that are lost
	counts [hearings]atomic.Int64 // members by state; each written under the member's shard's lock
	left   atomic.Int64           // entries in the shards' order, likewise
	shards [audienceShards]audienceShard
}

// audienceShards spreads the locks, and bounds how long one is held when all members are walked through.
const audienceShards = 64

type audienceShard struct {
	mu      sync.Mutex
	members map[string]member    // guarded by mu
	most    int                  // guarded by mu: members at most, since the map was made
	waiters map[string][]Waiter  // guarded by mu: of members that are not heard
	queue   []string             // guarded by mu: members that have become unheard; some may be so no more
	leaving map[string]time.Time // guarded by mu: members without a connection, and until when they are kept
	order   []departure          // guarded by mu: the same in the order of time; an entry counts if leaving says the same
}

type departure struct {
	user string
	at   time.Time
}

func newAudience(delay time.Duration, link *linkWait) *audience {
	a := &audience{delay: delay, link: link, seed: maphash.MakeSeed(), work: make(chan struct{}, 1)}
	for i := range a.shards {
		a.shards[i].members = make(map[string]member)
	}
	return a
}

func (a *audience) shard(user string) *audienceShard {
	return &a.shards[maphash.String(a.seed, user)%audienceShards]
}

// notify has the router look for work.
func (a *audience) notify() {
	signal(a.work)
}

// join counts a connection, and reports whether its user is heard or it is of no use to wait.
func (a *audience) join(user string, w Waiter) bool {
	s := a.shard(user)
	var tooMany []Waiter
	defer func() { release(tooMany) }() // without the lock
	s.mu.Lock()
	defer s.mu.Unlock()
	m, known := s.members[user]
	if !known {
		a.counts[unheard].Add(1)
		s.enqueue(user)
		defer a.notify()
	}
	if m.conns == 0 {
		delete(s.leaving, user)
	}
	m.conns++
	wait := m.state != heard && a.link.reach() != away
	if m.state != heard && !wait {
		a.lose(&m, boottime.Now())
	}
	if wait && len(s.waiters[user]) >= manyWaiters+2*int(m.conns) {
		tooMany = s.takeWaiters(user) // most have left, which nobody says to us
		a.lose(&m, boottime.Now())
	}
	s.put(user, m)
	if wait {
		if s.waiters == nil {
			s.waiters = make(map[string][]Waiter)
		}
		s.waiters[user] = append(s.waiters[user], w)
	}
	return !wait
}

// manyWaiters is how many a user may have beyond twice the connections, before they are let go.
const manyWaiters = 16

// leave takes back a join.
func (a *audience) leave(user string, now time.Time) {
	s := a.shard(user)
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.members[user]
	if m.conns == 0 {
		return // more than were joined: to go on would take somebody else's
	}
	m.conns--
	s.members[user] = m
	if m.conns == 0 {
		a.depart(s, user, now.Add(a.delay))
	}
}

// depart plans the end of a member without connections. The caller holds s.mu.
func (a *audience) depart(s *audienceShard, user string, at time.Time) {
	if s.leaving == nil {
		s.leaving = make(map[string]time.Time)
	}
	s.leaving[user] = at
	s.order = append(s.order, departure{user, at})
	if a.left.Add(1) == 1 {
		a.notify()
	}
}

// lose notes that a member's connections may have missed what was published since then. The caller holds the shard's mu,
// and stores m.
func (a *audience) lose(m *member, since boottime.Instant) {
	if m.lost {
		a.lost.widen(since)
		return
	}
	m.lost = true
	a.lost.add(since)
}

// found takes lose back. It returns since when something may be missing; none if nothing is.
func (a *audience) found(m *member) (since boottime.Instant) {
	if !m.lost {
		return 0
	}
	m.lost = false
	return a.lost.take()
}

// turn changes a member's state. The caller holds the shard's mu, and stores m.
func (a *audience) turn(m *member, to hearing) {
	a.counts[m.state].Add(-1)
	a.counts[to].Add(1)
	m.state = to
}

// enqueue has an unheard member subscribed to. While Redis is away users come and go and nobody takes them out of the
// queue: it is bounded by the members. The caller holds s.mu, and stores the member.
func (s *audienceShard) enqueue(user string) {
	if len(s.queue) > 64+2*len(s.members) {
		s.queue = s.queue[:0]
		for user, m := range s.members {
			if m.state == unheard {
				s.queue = append(s.queue, user)
			}
		}
	}
	s.queue = append(s.queue, user)
}

// put stores a member.
func (s *audienceShard) put(user string, m member) {
	s.members[user] = m
	s.most = max(s.most, len(s.members))
}

// remove forgets a member. Go's maps do not shrink: once it is much smaller it is made anew. The caller holds s.mu.
func (a *audience) remove(s *audienceShard, user string, m member) {
	a.counts[m.state].Add(-1)
	a.found(&m)
	delete(s.members, user)
	delete(s.leaving, user)
	delete(s.waiters, user) // whoever waited has left
	if len(s.members) >= s.most/4 || s.most < 64 {
		return
	}
	smaller := make(map[string]member, len(s.members))
	for user, m := range s.members {
		smaller[user] = m
	}
	s.members, s.most = smaller, len(smaller)
}

// Audience is how many users are heard, and how far the others are.
type Audience struct {
	Heard   int // Redis has confirmed the subscription
	Unheard int // it has not: what is published for these users is lost
	Parting int // UNSUBSCRIBE is under way
}

func (a *audience) sizes() Audience {
	return Audience{
		Heard:   int(a.counts[heard].Load()),
		Unheard: int(a.counts[unheard].Load() + a.counts[asked].Load()),
		Parting: int(a.counts[parting].Load()),
	}
}
