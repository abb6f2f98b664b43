package subs

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"roost/internal/shrinkmap"
	"roost/redisfeed/internal/boottime"
)

// Waiter waits until its user is subscribed.
type Waiter interface {
	// Subscribed says that it is, or that waiting is of no use. It is called once, without locks, by a goroutine of the
	// feed, and must not block.
	Subscribed()
}

// state is how far the subscription to a user's channel is.
type state uint8

const (
	unsubscribed  state = iota // SUBSCRIBE has to be sent
	subscribing                // SUBSCRIBE is sent, or about to be
	subscribed                 // Redis has confirmed it
	unsubscribing              // UNSUBSCRIBE is sent, or about to be
	states
)

// subscription is the state of a user who has connections here, or had until a moment ago.
type subscription struct {
	conns int32  // and handshakes
	link  uint16 // of the command that was sent last
	state state
	lost  bool // the user has connections that may have missed something, until Redis confirms
}

// Subscriptions has an entry for each user with a connection here, and for those whose last connection went less than a
// while ago, so that a page reload costs no subscription. Any goroutine.
type Subscriptions struct {
	delay time.Duration // static: from a user's last connection to UNSUBSCRIBE
	seed  maphash.Seed  // static
	work  chan struct{} // capacity 1: a user is unsubscribed, or one has expired

	// Heard is called without locks when a subscription was confirmed, before the waiters are told; lostSince is what Confirmed
	// returns. Static; it may be nil.
	Heard func(user string, lostSince boottime.Instant)

	wait   *LinkWait            // static: says whether waiting for a confirmation is of use
	losses losses               // users that are lost
	counts [states]atomic.Int64 // users by state; each written under the user's shard's lock
	idle   atomic.Int64         // entries in the shards' expiries, likewise
	shards [shardCount]shard
}

// shardCount spreads the locks, and bounds how long one is held when all users are walked through.
const shardCount = 64

type shard struct {
	mu       sync.Mutex
	users    shrinkmap.Map[string, subscription] // guarded by mu
	waiters  map[string][]Waiter                 // guarded by mu: of users that are not subscribed
	queue    []string                            // guarded by mu: users that have become unsubscribed; some may be so no more
	expires  map[string]time.Time                // guarded by mu: users without a connection, and until when they are kept
	expiries []expiry                            // guarded by mu: the same in the order of time; one counts if expires says the same
}

type expiry struct {
	user string
	at   time.Time
}

// New returns Subscriptions that keep a user for delay after the last connection.
func New(delay time.Duration, wait *LinkWait) *Subscriptions {
	return &Subscriptions{delay: delay, wait: wait, seed: maphash.MakeSeed(), work: make(chan struct{}, 1)}
}

func (s *Subscriptions) shard(user string) *shard {
	return &s.shards[maphash.String(s.seed, user)%shardCount]
}

// Work holds a token when there may be something to send (Next, Expire).
func (s *Subscriptions) Work() <-chan struct{} { return s.work }

// Notify puts a token into Work.
func (s *Subscriptions) Notify() {
	select {
	case s.work <- struct{}{}:
	default:
	}
}

// Acquire counts a connection, and reports whether its user is subscribed or waiting is of no use. Otherwise w is told when
// either is true.
func (s *Subscriptions) Acquire(user string, w Waiter) bool {
	sh := s.shard(user)
	var tooMany []Waiter
	defer func() { Tell(tooMany) }() // without the lock
	sh.mu.Lock()
	defer sh.mu.Unlock()
	u, known := sh.users.Find(user)
	if !known {
		s.counts[unsubscribed].Add(1)
		sh.enqueue(user)
		defer s.Notify()
	}
	if u.conns == 0 {
		delete(sh.expires, user)
	}
	u.conns++
	wait := u.state != subscribed && s.wait.reach() != away
	if u.state != subscribed && !wait {
		s.lose(&u, boottime.Now())
	}
	if wait && len(sh.waiters[user]) >= manyWaiters+2*int(u.conns) {
		tooMany = sh.takeWaiters(user) // most have been released, which nobody tells us
		s.lose(&u, boottime.Now())
	}
	sh.users.Put(user, u)
	if wait {
		if sh.waiters == nil {
			sh.waiters = make(map[string][]Waiter)
		}
		sh.waiters[user] = append(sh.waiters[user], w)
	}
	return !wait
}

// manyWaiters is how many a user may have beyond twice the connections, before they are told.
const manyWaiters = 16

// Release takes an Acquire back.
func (s *Subscriptions) Release(user string, now time.Time) {
	sh := s.shard(user)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	u := sh.users.Get(user)
	if u.conns == 0 {
		return // more than were acquired: to go on would take somebody else's
	}
	u.conns--
	sh.users.Put(user, u)
	if u.conns == 0 {
		s.expireAt(sh, user, now.Add(s.delay))
	}
}

// expireAt plans the end of an entry without connections. The caller holds sh.mu.
func (s *Subscriptions) expireAt(sh *shard, user string, at time.Time) {
	if sh.expires == nil {
		sh.expires = make(map[string]time.Time)
	}
	sh.expires[user] = at
	sh.expiries = append(sh.expiries, expiry{user, at})
	if s.idle.Add(1) == 1 {
		s.Notify()
	}
}

// set changes an entry's state. The caller holds the shard's mu, and stores u.
func (s *Subscriptions) set(u *subscription, to state) {
	s.counts[u.state].Add(-1)
	s.counts[to].Add(1)
	u.state = to
}

// remove deletes an entry. The caller holds sh.mu.
func (s *Subscriptions) remove(sh *shard, user string, u subscription) {
	s.counts[u.state].Add(-1)
	s.found(&u)
	sh.users.Delete(user)
	delete(sh.expires, user)
	delete(sh.waiters, user) // they have been released
}

// takeWaiters removes the waiters of a user. The caller holds sh.mu.
func (sh *shard) takeWaiters(user string) []Waiter {
	waiters := sh.waiters[user]
	if delete(sh.waiters, user); len(sh.waiters) == 0 {
		sh.waiters = nil
	}
	return waiters
}

// Tell tells waiters that they need not wait any more.
func Tell(waiters []Waiter) {
	for _, w := range waiters {
		w.Subscribed()
	}
}

// Counts is how many users there are by state.
type Counts struct {
	Subscribed    int // Redis has confirmed the subscription
	Unsubscribed  int // it has not: what is published for these users is lost
	Unsubscribing int // UNSUBSCRIBE is under way
}

// Counts counts the users.
func (s *Subscriptions) Counts() Counts {
	return Counts{
		Subscribed:    int(s.counts[subscribed].Load()),
		Unsubscribed:  int(s.counts[unsubscribed].Load() + s.counts[subscribing].Load()),
		Unsubscribing: int(s.counts[unsubscribing].Load()),
	}
}

// UnderWay is how many commands are sent, or about to be, and not answered.
func (s *Subscriptions) UnderWay() int {
	return int(s.counts[subscribing].Load() + s.counts[unsubscribing].Load())
}

// Pending is how many waiters there are, and how many users that are to expire.
func (s *Subscriptions) Pending() int {
	n := int(s.idle.Load())
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		n += len(sh.waiters) + len(sh.expires)
		sh.mu.Unlock()
	}
	return n
}

// Subscribed reports whether Redis has confirmed the subscription of a user.
func (s *Subscriptions) Subscribed(user string) bool {
	sh := s.shard(user)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.users.Get(user).state == subscribed
}
