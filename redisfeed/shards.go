package redisfeed

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// lookAgain is the least time between two questions about who has which slots.
	lookAgain = 20 * time.Millisecond
	// notAgain is how long a node is not asked for a user again whom it has unsubscribed by itself.
	notAgain = 300 * time.Millisecond
	// nodeDelay passes between a failed attempt to reach a node, or a link that broke at once, and the next; it is
	// doubled with each, up to some five seconds.
	nodeDelay  = 300 * time.Millisecond
	maxDoubled = 4
	// orphansPause is how often it is looked whether orphans can be asked for again, if nothing happens meanwhile.
	orphansPause = 100 * time.Millisecond
)

// shards is the links to the nodes of a cluster, one to each that has slots. The router's goroutine owns it, but for
// what says otherwise.
type shards struct {
	feed    *Feed
	view    *view // nil before the first
	links   map[uint16]*node
	byAddr  map[string]*node
	lastID  uint16
	notYet  map[string]time.Time // when a node may be tried again that could not be reached
	failed  map[string]int       // how often in a row that was so
	orphans []orphan             // users who are unheard, and in no queue: it is not known who has their slot, or nobody has

	look chan struct{} // capacity 1: the view may be old

	mu      sync.Mutex
	next    *view    // guarded by mu: one that has not been looked at
	refused []orphan // guarded by mu: users whom a node has refused or dropped
	ended   []*node  // guarded by mu: links that have ended

	down       map[string]bool // guarded by mu: nodes of which the log has said so
	complained time.Time       // guarded by mu: when the log last said that one refuses users

	lostAt atomic.Int64 // Unix nanoseconds: since when somebody may have missed something; 0: nobody has
}

func newShards(f *Feed) *shards {
	return &shards{
		feed:   f,
		links:  make(map[uint16]*node),
		byAddr: make(map[string]*node),
		notYet: make(map[string]time.Time),
		failed: make(map[string]int),
		look:   make(chan struct{}, 1),
		down:   make(map[string]bool),
	}
}

// lookSoon asks for a new view. Any goroutine.
func (s *shards) lookSoon() {
	select {
	case s.look <- struct{}{}:
	default:
	}
}

// seen takes a new view. Any goroutine.
func (s *shards) seen(v *view) {
	s.mu.Lock()
	s.next = v
	s.mu.Unlock()
	s.feed.audience.notify()
}

// hasEnded takes a link that has ended. Any goroutine.
func (s *shards) hasEnded(n *node) {
	s.mu.Lock()
	s.ended = append(s.ended, n)
	s.mu.Unlock()
	s.lookSoon()
	s.feed.audience.notify()
}

// tend does what has come up since the last time.
func (s *shards) tend(ctx context.Context) {
	s.mu.Lock()
	next, refused, ended := s.next, s.refused, s.ended
	s.next, s.refused, s.ended = nil, nil, nil
	s.mu.Unlock()
	s.endGap()
	for _, n := range ended {
		s.bury(n)
	}
	if slices.ContainsFunc(refused, func(o orphan) bool { return o.notAt != "" }) {
		s.feed.monitor.gap()
	}
	s.orphans = append(s.orphans, refused...)
	if next != nil {
		s.adopt(next)
	}
	if s.view != nil && len(s.orphans) > 0 && (next != nil || s.anyNodeDue()) {
		s.adoptOrphans()
	}
}

// bury forgets a link that has ended; its users are unheard.
func (s *shards) bury(n *node) {
	if s.links[n.id] != n {
		return // dismissed
	}
	s.forget(n)
	if n.upSince.IsZero() || time.Since(n.upSince) < nodeDelay {
		s.failed[n.addr]++
		s.notYet[n.addr] = time.Now().Add(nodeDelay << min(s.failed[n.addr]-1, maxDoubled)) // else it is tried again at once
	} else {
		delete(s.failed, n.addr)
	}
	s.lost(s.feed.audience.loseLink(n.id), n.heard)
}

func (s *shards) forget(n *node) {
	delete(s.links, n.id)
	delete(s.byAddr, n.addr)
}

// lost notes that users may miss something from now on, or did for as long as a silent link takes to be noticed. heard
// says that there was a link that heard them: while there is none each attempt ends like this, and they are one gap.
func (s *shards) lost(users int, heard bool) {
	if users == 0 {
		return
	}
	if begins := s.sinceNow(); begins || heard {
		s.feed.monitor.gap()
	}
}

// sinceNow notes when the gap began, and reports false if it had begun before.
func (s *shards) sinceNow() (begins bool) {
	return s.lostAt.CompareAndSwap(0, time.Now().Add(-s.feed.cfg.HeartbeatTimeout).UnixNano())
}

// endGap notes that nobody misses anything any more, because all are heard again, or have left. A reader that has the turn
// may be about to look when the gap began; then it is the next time.
func (s *shards) endGap() {
	if s.lostAt.Load() == 0 || !s.feed.turn.TryLock() {
		return
	}
	defer s.feed.turn.Unlock()
	if s.feed.audience.lost.Load() == 0 {
		s.lostAt.Store(0)
	}
}

// adopt takes a view in place of the one before. Links to nodes that are no master in it are ended before their users are
// subscribed to elsewhere, or they could hear something twice: a node that was demoted still hears its shard.
//
// A slot that moves between masters is not looked for: the one that loses it says so to its subscribers.
func (s *shards) adopt(v *view) {
	changed := s.view != nil && !v.same(s.view)
	s.view = v
	if !changed {
		return
	}
	s.feed.cfg.Logger.Info("redis cluster: slots have moved, or have another master", "masters", len(v.masters))
	s.feed.cluster.client.ReloadState(context.Background())
	for _, n := range s.byAddr {
		if v.hasMaster(n.addr) {
			continue
		}
		n.dismiss(errDemoted)
		s.forget(n)
		s.lost(s.feed.audience.loseLink(n.id), n.heard)
	}
}

// ask has users subscribed to, each at the node that has the slot.
func (s *shards) ask(ctx context.Context, users []string) {
	orders := make(map[*node][]order, len(s.links))
	for _, user := range users {
		n := s.nodeOf(ctx, user)
		if n == nil {
			s.orphans = append(s.orphans, orphan{user: user})
			continue
		}
		if s.feed.audience.ask(user, n.id) {
			orders[n] = append(orders[n], order{user: user})
		}
	}
	for n, some := range orders {
		n.sub.add(some...)
	}
}

// nodeOf is the link to the node that hears a user, nil if there can't be one now.
func (s *shards) nodeOf(ctx context.Context, user string) *node {
	if s.view == nil {
		return nil
	}
	addr := s.view.ownerOf(userSlot(user))
	if n := s.byAddr[addr]; n != nil {
		return n
	}
	if at, ok := s.notYet[addr]; addr == "" || ok && time.Now().Before(at) {
		return nil
	}
	n := newNode(ctx, s.feed, s.freeID(), addr)
	s.links[n.id], s.byAddr[addr] = n, n
	n.start()
	return n
}

// freeID is not 0, and no link's.
func (s *shards) freeID() uint16 {
	for {
		if s.lastID++; s.lastID != 0 && s.links[s.lastID] == nil {
			return s.lastID
		}
	}
}

// part has somebody unsubscribed.
func (s *shards) part(f farewell) {
	if n := s.links[f.link]; n != nil {
		n.sub.add(order{f.user, true})
	}
}

// close ends all links.
func (s *shards) close() {
	for _, n := range s.links {
		n.dismiss(errStopped)
	}
}

// found tells of a user who is heard again.
func (s *shards) found(user string) {
	since := time.Unix(0, s.lostAt.Load())
	if since.Unix() == 0 { // another one's end of the gap came in between
		since = time.Now().Add(-s.feed.cfg.HeartbeatTimeout)
	}
	if s.feed.audience.lost.Load() == 0 {
		s.feed.audience.notify() // for endGap
	}
	if s.feed.cfg.UserGap != nil {
		s.feed.cfg.UserGap(user, since)
	}
}

// saidDown notes that a node's link has ended, and reports whether that was so the last time as well. Any goroutine.
func (s *shards) saidDown(addr string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	said := s.down[addr]
	s.down[addr] = true
	return said
}

// saidUp takes saidDown back. Any goroutine.
func (s *shards) saidUp(addr string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.down, addr)
}

// complainEvery is the least time between two lines about nodes that refuse users, each of whom is tried again and again.
const complainEvery = time.Minute

// mayComplain reports whether the last line about refused users is long ago. Any goroutine.
func (s *shards) mayComplain(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.complained.IsZero() && now.Sub(s.complained) < complainEvery {
		return false
	}
	s.complained = now
	return true
}
