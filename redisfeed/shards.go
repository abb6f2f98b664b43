package redisfeed

import (
	"context"
	"slices"
	"sync"
	"time"

	"roost/redisfeed/internal/topology"
	"roost/redisfeed/publish"
)

const (
	// notAgain is how long a node is not asked for a user again whom it has unsubscribed by itself.
	notAgain = 300 * time.Millisecond
	// orphansPause is how often it is looked whether orphans can be asked for again, if nothing happens meanwhile.
	orphansPause = 100 * time.Millisecond
)

// shards is the links to the nodes of a cluster, one to each that has slots. The router's goroutine owns it, but for
// what says otherwise.
type shards struct {
	feed    *Feed
	view    *topology.View // nil before the first
	links   map[uint16]*node
	byAddr  map[string]*node
	lastID  uint16
	notYet  map[string]time.Time // when a node may be tried again that could not be reached
	retries map[string]*retry    // of nodes that could not be reached, or whose link was lost
	orphans []orphan             // users who are unheard, and in no queue: it is not known who has their slot, or nobody has

	look chan struct{} // capacity 1: the view may be old

	mu      sync.Mutex
	next    *topology.View // guarded by mu: one that has not been looked at
	refused []orphan       // guarded by mu: users whom a node has refused or dropped
	ended   []*node        // guarded by mu: links that have ended

	down       map[string]bool // guarded by mu: nodes of which the log has said so
	complained time.Time       // guarded by mu: when the log last said that one refuses users
}

func newShards(f *Feed) *shards {
	return &shards{
		feed:    f,
		links:   make(map[uint16]*node),
		byAddr:  make(map[string]*node),
		notYet:  make(map[string]time.Time),
		retries: make(map[string]*retry),
		look:    make(chan struct{}, 1),
		down:    make(map[string]bool),
	}
}

// lookSoon asks for a new view. Any goroutine.
func (s *shards) lookSoon() {
	signal(s.look)
}

// seen takes a new view. Any goroutine.
func (s *shards) seen(v *topology.View) {
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
	wait, outage := s.retryAfter(n)
	s.notYet[n.addr] = n.endedAt.Add(wait)
	s.lost(s.feed.audience.loseLink(n.id, n.link.lostSince(), outage > waitLimit), n.heard)
}

// retryAfter is how long to wait after the end of a link until the next to the same node, and how long there has been none
// of use. A node that refuses everybody answers to PING: that is none.
func (s *shards) retryAfter(n *node) (wait, outage time.Duration) {
	r := s.retries[n.addr]
	if r == nil {
		retry := newRetry(s.feed.cfg)
		retry.max = 0 // the feed gives up when its own link is away
		r = &retry
		r.begin(n.startedAt)
		s.retries[n.addr] = r
	}
	if n.heard {
		r.connected(n.upSince)
		return r.lost(n.endedAt), 0
	}
	wait, _ = r.failed(n.endedAt, false)
	return wait, n.endedAt.Sub(r.began)
}

func (s *shards) forget(n *node) {
	delete(s.links, n.id)
	delete(s.byAddr, n.addr)
}

// lost counts that users may miss something from now on. heard says that there was a link that heard them: while there is
// none each attempt ends like this, and they are one gap.
func (s *shards) lost(users int, heard bool) {
	if users == 0 {
		return
	}
	if first := s.feed.audience.lost.first(); first || heard {
		s.feed.monitor.gap()
	}
}

// adopt takes a view in place of the one before. Links to nodes that are no master in it are ended before their users are
// subscribed to elsewhere, or they could hear something twice: a node that was demoted still hears its shard.
//
// A slot that moves between masters is not looked for: the one that loses it says so to its subscribers.
func (s *shards) adopt(v *topology.View) {
	before := s.view
	s.view = v
	if before == nil || v.Same(before) {
		return
	}
	s.feed.cfg.Logger.Info("redis cluster: slots have moved, or have another master", "masters", len(v.Masters))
	s.feed.cluster.Reload()
	for _, n := range s.byAddr {
		if v.HasMaster(n.addr) {
			continue
		}
		n.dismiss(errDemoted)
		s.forget(n)
		// Its successor may have been published on ever since the cluster last said that it was the master.
		since := min(n.link.lostSince(), before.Asked.Add(-s.feed.cfg.HeartbeatTimeout))
		s.lost(s.feed.audience.loseLink(n.id, since, false), n.heard)
	}
	for addr := range s.retries {
		if !v.HasMaster(addr) {
			delete(s.retries, addr)
			delete(s.notYet, addr)
		}
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
	addr := s.view.OwnerOf(topology.Slot(publish.ChannelPrefix, user))
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
