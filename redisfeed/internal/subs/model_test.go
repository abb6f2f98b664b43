package subs

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"roost/redisfeed/internal/boottime"
)

// oneTime is a Waiter that notes how often it was told.
type oneTime struct{ told int }

func (w *oneTime) Subscribed() { w.told++ }

// modelRedis is what Redis and the links to it do: commands on each link are answered in order, if the link lives for so
// long.
type modelRedis struct {
	t        *testing.T
	subs     *Subscriptions
	random   *rand.Rand
	link     uint16                // the one that is up; the one before has ended
	pending  []Command             // sent on it and not answered
	has      map[string]bool       // channels that are subscribed on it
	underWay map[string]int        // commands about a user that are not answered
	conns    map[string]int        // what the subscriptions have to count
	waiting  map[string][]*oneTime // those that have not been told, by user
	owed     map[string]bool       // users with connections that may have missed something: they are to be told
	maybe    map[string]bool       // those whose connections have gone since: they may be told
}

// send sends what the subscriptions want sent, as a manager does.
func (m *modelRedis) send(now time.Time) {
	for _, user := range m.subs.Next(nil, 3) {
		if m.subs.Subscribing(user, m.link) {
			m.command(Command{User: user})
		}
	}
	for _, e := range m.subs.Expire(nil, now) {
		if e.Link == m.link {
			m.command(Command{User: e.User, Unsubscribe: true})
		}
	}
}

func (m *modelRedis) command(c Command) {
	if m.underWay[c.User]++; m.underWay[c.User] > 1 {
		m.t.Fatalf("two commands about %s are under way", c.User)
	}
	if m.has[c.User] != c.Unsubscribe {
		m.t.Fatalf("%+v is sent, and the channel is subscribed: %t", c, m.has[c.User])
	}
	m.pending = append(m.pending, c)
}

// answer answers the oldest command; now and then Redis refuses.
func (m *modelRedis) answer() {
	if len(m.pending) == 0 {
		return
	}
	c := m.pending[0]
	m.pending = m.pending[1:]
	m.underWay[c.User]--
	switch {
	case c.Unsubscribe:
		delete(m.has, c.User)
		if !m.subs.Ended(c.User, m.link) {
			m.t.Fatalf("the end of %s was not expected", c.User)
		}
	case m.random.IntN(10) == 0:
		m.subs.Refused(c.User, m.link)
		m.subs.Requeue([]string{c.User})
	default:
		m.has[c.User] = true
		lost := m.subs.Confirmed(c.User, m.link) != 0
		if lost && !m.owed[c.User] && !m.maybe[c.User] || !lost && m.owed[c.User] {
			m.t.Fatalf("%s is told of a gap: %t", c.User, lost)
		}
		delete(m.owed, c.User)
		delete(m.maybe, c.User)
		m.allTold(c.User)
	}
}

// allTold wants everybody told who waits for a user.
func (m *modelRedis) allTold(user string) {
	for _, w := range m.waiting[user] {
		if w.told != 1 {
			m.t.Fatalf("a waiter for %s was told %d times", user, w.told)
		}
	}
	delete(m.waiting, user)
}

// lose ends the link and begins another.
func (m *modelRedis) lose() {
	m.subs.LinkLost(m.link, boottime.Instant(1), false)
	for user := range m.has {
		if m.conns[user] > 0 {
			m.owed[user] = true
		}
	}
	for _, c := range m.pending { // also those about to be subscribed: they may have been, and nobody heard of it
		if m.conns[c.User] > 0 {
			m.owed[c.User] = true
		}
	}
	m.link++
	m.pending = nil
	clear(m.has)
	clear(m.underWay)
}

// drop has Redis unsubscribe a user unasked, as a node does that loses a slot.
func (m *modelRedis) drop(user string) {
	if !m.has[user] || m.underWay[user] > 0 {
		return
	}
	delete(m.has, user)
	m.subs.Dropped(user, m.link, 1)
	if m.conns[user] > 0 {
		m.owed[user] = true
		m.subs.Requeue([]string{user})
	}
}

// Users come and go, Redis answers, refuses and drops, and links are lost, in any order: one command about a user is under
// way at a time, each fits what Redis has, waiters are told once, gaps are told to those who may have one, and in the end
// exactly the users who are here are subscribed. When all have gone nothing is left.
func TestModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		wait := new(LinkWait)
		wait.Up()
		m := &modelRedis{
			t: t, subs: New(time.Second, wait), random: rand.New(rand.NewPCG(seed, 14)), link: 1,
			has: map[string]bool{}, underWay: map[string]int{}, conns: map[string]int{}, waiting: map[string][]*oneTime{}, owed: map[string]bool{}, maybe: map[string]bool{},
		}
		now := time.Now()
		user := func() string { return fmt.Sprint("user", m.random.IntN(12)) }
		for range 3000 {
			now = now.Add(time.Duration(m.random.IntN(200)) * time.Millisecond)
			switch m.random.IntN(12) {
			case 0, 1, 2:
				m.acquire(user())
			case 3, 4, 5:
				m.release(user(), now)
			case 6, 7:
				m.send(now)
			case 8, 9, 10:
				m.answer()
			case 11:
				if m.random.IntN(10) == 0 {
					m.lose()
				} else {
					m.drop(user())
				}
			}
			m.count()
		}
		m.finish(now)
		if len(m.waiting) > 0 {
			t.Fatalf("seed %d: waiters are left for %d users", seed, len(m.waiting))
		}
		for user, n := range m.conns {
			if m.has[user] != (n > 0) {
				t.Fatalf("seed %d: %s has %d connections, and is subscribed: %t", seed, user, n, m.has[user])
			}
			for range n {
				m.subs.Release(user, now)
			}
			m.conns[user] = 0
		}
		m.finish(now.Add(time.Hour))
		m.empty()
	}
}

func (m *modelRedis) acquire(user string) {
	w := &oneTime{}
	was := m.has[user] && m.underWay[user] == 0
	m.conns[user]++
	if m.subs.Acquire(user, w) != was {
		m.t.Fatalf("%s need not wait: %t", user, !was)
	}
	if !was {
		m.waiting[user] = append(m.waiting[user], w)
		if len(m.waiting[user]) > 1 && m.waiting[user][0].told == 1 { // too many wait: all but this one were told, of a gap
			m.waiting[user] = []*oneTime{w}
			m.owed[user] = true
		}
	}
}

func (m *modelRedis) release(user string, now time.Time) {
	if m.conns[user] == 0 {
		return
	}
	if n := len(m.waiting[user]); n > 0 && (n == m.conns[user] || m.random.IntN(2) == 0) {
		m.waiting[user] = m.waiting[user][1:] // it may be told all the same, or not
	}
	if m.conns[user]--; m.conns[user] == 0 && m.owed[user] {
		delete(m.owed, user)
		m.maybe[user] = true
	}
	m.subs.Release(user, now)
}

// finish sends and answers until there is nothing more to do.
func (m *modelRedis) finish(now time.Time) {
	for range 100 {
		now = now.Add(time.Second)
		m.send(now)
		for len(m.pending) > 0 {
			m.answer()
		}
	}
	for user, waiting := range m.waiting { // those whose user has expired have been released
		if m.conns[user] == 0 {
			delete(m.waiting, user)
			continue
		}
		m.waiting[user] = slices.DeleteFunc(waiting, func(w *oneTime) bool { return w.told == 1 })
		if len(m.waiting[user]) == 0 {
			delete(m.waiting, user)
		}
	}
}

// count wants the counts to be those of the entries.
func (m *modelRedis) count() {
	var counts Counts
	for i := range m.subs.shards {
		for _, u := range m.subs.shards[i].users.All() {
			switch u.state {
			case subscribed:
				counts.Subscribed++
			case unsubscribing:
				counts.Unsubscribing++
			default:
				counts.Unsubscribed++
			}
		}
	}
	if got := m.subs.Counts(); got != counts {
		m.t.Fatalf("counts %+v, want %+v", got, counts)
	}
}

// empty wants nothing left.
func (m *modelRedis) empty() {
	if got := m.subs.Counts(); got != (Counts{}) || m.subs.Lost() != 0 || m.subs.Idle() {
		m.t.Fatalf("left: %+v, %d lost, idle %t", got, m.subs.Lost(), m.subs.Idle())
	}
	for i := range m.subs.shards {
		if sh := &m.subs.shards[i]; sh.users.Len()+len(sh.waiters)+len(sh.queue)+len(sh.expires)+len(sh.expiries) > 0 {
			m.t.Fatalf("a shard has %d users, %d waiters, %d queued, %d and %d to expire", sh.users.Len(), len(sh.waiters), len(sh.queue), len(sh.expires), len(sh.expiries))
		}
	}
}

// Commands are sent in order, in batches of a kind, and no more than the window are without an answer.
func TestCommands(t *testing.T) {
	t.Parallel()
	var c Commands
	const n = 2 * window
	for i := range n {
		c.Add(Command{User: fmt.Sprint(i), Unsubscribe: i%1000 >= 990})
	}
	sent, answered := 0, 0
	for answered < n {
		for batch := c.Take(); len(batch) > 0; batch = c.Take() {
			for _, one := range batch {
				if one.User != fmt.Sprint(sent) || one.Unsubscribe != batch[0].Unsubscribe {
					t.Fatalf("command %d is %+v, in a batch of %t", sent, one, batch[0].Unsubscribe)
				}
				sent++
			}
			if len(batch) > Batch || sent-answered > window {
				t.Fatalf("a batch of %d, %d without an answer", len(batch), sent-answered)
			}
		}
		for more := false; !more && answered < sent; {
			if !c.IsNext(Command{User: fmt.Sprint(answered), Unsubscribe: answered%1000 >= 990}) {
				t.Fatalf("the answer to %d is not expected", answered)
			}
			var ok bool
			if _, more, ok = c.Answered(); !ok {
				t.Fatal("nothing is to be answered")
			}
			answered++
		}
	}
	if _, _, ok := c.Answered(); ok || sent != n {
		t.Errorf("%d of %d are sent", sent, n)
	}
}
