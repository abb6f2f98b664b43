package redisfeed

import (
	"context"
	"slices"
	"sync"
	"time"

	"roost/internal/loglimit"
	"roost/redisfeed/internal/subs"
	"roost/redisfeed/internal/topology"
	"roost/redisfeed/publish"
)

const (
	// dropPause is how long a node is not asked again to subscribe a user whom it has unsubscribed by itself.
	dropPause = 300 * time.Millisecond
	// placePause is how often unplaced users are tried again, if nothing happens meanwhile.
	placePause = 100 * time.Millisecond
)

// shards is the links to the nodes of a cluster, one to each that has slots. The manager's goroutine owns what says nothing
// else.
type shards struct {
	feed     *Feed
	view     *topology.View // nil before the first
	links    map[uint16]*node
	byAddr   map[string]*node
	lastID   uint16
	notYet   map[string]time.Time // when a node may be tried again that could not be reached
	retries  map[string]*retry    // of nodes that could not be reached, or whose link was lost
	unplaced []unplaced           // users who are unsubscribed, and in no queue: no node is known to have their slot

	look     chan struct{}   // capacity 1: the view may be old
	refusals *loglimit.Limit // of lines about nodes that refuse users, each of whom is tried again and again

	mu      sync.Mutex
	next    *topology.View // guarded by mu: one that has not been looked at
	refused []unplaced     // guarded by mu: users whom a node has refused or dropped
	ended   []*node        // guarded by mu: links that have ended

	down map[string]bool // guarded by mu: nodes of which the log has said so
}

func newShards(f *Feed) *shards {
	return &shards{
		feed:     f,
		links:    make(map[uint16]*node),
		byAddr:   make(map[string]*node),
		notYet:   make(map[string]time.Time),
		retries:  make(map[string]*retry),
		look:     make(chan struct{}, 1),
		down:     make(map[string]bool),
		refusals: loglimit.New(time.Minute, 1),
	}
}

// lookSoon asks for a new view. Any goroutine.
func (s *shards) lookSoon() {
	signal(s.look)
}

// viewChanged takes a new view. Any goroutine.
func (s *shards) viewChanged(v *topology.View) {
	s.mu.Lock()
	s.next = v
	s.mu.Unlock()
	s.feed.subs.Notify()
}

// linkEnded takes a link that has ended. Any goroutine.
func (s *shards) linkEnded(n *node) {
	s.mu.Lock()
	s.ended = append(s.ended, n)
	s.mu.Unlock()
	s.lookSoon()
	s.feed.subs.Notify()
}

// update takes what has happened since the last time.
func (s *shards) update(ctx context.Context) {
	s.mu.Lock()
	next, refused, ended := s.next, s.refused, s.ended
	s.next, s.refused, s.ended = nil, nil, nil
	s.mu.Unlock()
	for _, n := range ended {
		s.removeLink(n)
	}
	if slices.ContainsFunc(refused, func(u unplaced) bool { return u.notAt != "" }) {
		s.feed.monitor.gap()
	}
	s.unplaced = append(s.unplaced, refused...)
	if next != nil {
		s.useView(next)
	}
	if s.view != nil && len(s.unplaced) > 0 && (next != nil || s.anyNodeDue()) {
		s.placeUsers()
	}
}

// removeLink removes a link that has ended; its users are unsubscribed.
func (s *shards) removeLink(n *node) {
	if s.links[n.id] != n {
		return // dismissed
	}
	s.forget(n)
	wait, outage := s.retryAfter(n)
	s.notYet[n.addr] = n.endedAt.Add(wait)
	s.lost(s.feed.subs.LinkLost(n.id, n.link.lostSince(), outage > subs.WaitLimit), n.subscribed)
}

// retryAfter is how long to wait after the end of a link until the next to the same node, and how long there has been none
// of use. A node that refuses all users answers PING: that is none.
func (s *shards) retryAfter(n *node) (wait, outage time.Duration) {
	r := s.retries[n.addr]
	if r == nil {
		retry := newRetry(s.feed.cfg)
		retry.max = 0 // the feed gives up when its own link is away
		r = &retry
		r.begin(n.startedAt)
		s.retries[n.addr] = r
	}
	if n.subscribed {
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

// lost counts that users may miss something from now on. subscribed says that there was a link which had them subscribed:
// while there is none each attempt ends like this, and they are one gap.
func (s *shards) lost(users int, subscribed bool) {
	if users == 0 {
		return
	}
	if first := s.feed.subs.FirstLoss(); first || subscribed {
		s.feed.monitor.gap()
	}
}

// useView takes a view in place of the one before. Links to nodes that are no master in it are ended before their users are
// subscribed to elsewhere, or something could come twice: a demoted node still gets what is published in its shard.
//
// A slot that moves between masters needs nothing here: the master that loses it tells its subscribers.
func (s *shards) useView(v *topology.View) {
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
		s.lost(s.feed.subs.LinkLost(n.id, since, false), n.subscribed)
	}
	for addr := range s.retries {
		if !v.HasMaster(addr) {
			delete(s.retries, addr)
			delete(s.notYet, addr)
		}
	}
}

// subscribe has users subscribed, each at the node that has the slot.
func (s *shards) subscribe(ctx context.Context, users []string) {
	commands := make(map[*node][]subs.Command, len(s.links))
	for _, user := range users {
		n := s.nodeOf(ctx, user)
		if n == nil {
			s.unplaced = append(s.unplaced, unplaced{user: user})
			continue
		}
		if s.feed.subs.Subscribing(user, n.id) {
			commands[n] = append(commands[n], subs.Command{User: user})
		}
	}
	for n, some := range commands {
		n.sender.add(some...)
	}
}

// nodeOf is the link to the node of a user's shard, nil if there can't be one now.
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

// unsubscribe has a user unsubscribed.
func (s *shards) unsubscribe(e subs.Expired) {
	if n := s.links[e.Link]; n != nil {
		n.sender.add(subs.Command{User: e.User, Unsubscribe: true})
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

// unplaced is a user who is unsubscribed, and in no queue.
type unplaced struct {
	user  string
	notAt string    // the node that has unsubscribed the user by itself, "" for none
	until time.Time // when it may be asked again
}

// userRefused takes a user whom a node has refused. The node may be the right one and not know it yet. Any goroutine.
func (s *shards) userRefused(user string) { s.addUnplaced(unplaced{user: user}) }

// userDropped takes a user whom the node at addr has unsubscribed by itself. Any goroutine.
//
// For dropPause that node is not asked again, even if a node with an old view says that it still has the slot. It may be a
// replica by now, and would take the subscription: what backends with an old view publish there would come twice, from it
// and from the new master. The pause is short, because an operator who moves slots may have told the source before the
// target, which then drops what it has just taken.
func (s *shards) userDropped(user, addr string) {
	s.addUnplaced(unplaced{user, addr, time.Now().Add(dropPause)})
}

func (s *shards) addUnplaced(u unplaced) {
	s.mu.Lock()
	s.refused = append(s.refused, u)
	s.mu.Unlock()
	s.lookSoon()
}

// placeUsers has those subscribed for whom there is a node.
func (s *shards) placeUsers() {
	var again []string
	known := make(map[string]bool, len(s.unplaced)) // a user who comes back while a shard is away is there twice
	left := s.unplaced[:0]
	for _, u := range s.unplaced {
		if known[u.user] {
			continue
		}
		known[u.user] = true
		if u.notAt != "" && time.Now().Before(u.until) && s.view.OwnerOf(topology.Slot(publish.ChannelPrefix, u.user)) == u.notAt {
			left = append(left, u)
		} else {
			again = append(again, u.user)
		}
	}
	if s.unplaced = left; len(left) == 0 {
		s.unplaced = nil
	}
	if len(again) > 0 {
		s.feed.subs.Requeue(again)
	}
}

// anyNodeDue reports whether a node may be tried again that could not be reached, and forgets those that may.
func (s *shards) anyNodeDue() bool {
	due := false
	for addr, at := range s.notYet {
		if !time.Now().Before(at) {
			delete(s.notYet, addr)
			due = true
		}
	}
	return due
}

// pause is how long there is nothing to do.
func (s *shards) pause() time.Duration {
	if len(s.unplaced) == 0 {
		return time.Hour
	}
	s.lookSoon()
	pause := placePause
	for _, at := range s.notYet {
		pause = min(pause, max(time.Until(at), time.Millisecond))
	}
	return pause
}
