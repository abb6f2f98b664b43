package hub

import (
	"context"
	"math"
	"slices"
)

// broadcastChunk is how many connections are handed a broadcast before everything else gets its time. With 256 a user's own
// notification is twice as late in the middle of one, with 64 a broadcast takes half as long again.
const broadcastChunk = 128

// broadcaster delivers broadcasts. It belongs to the goroutine of RunBroadcasts.
type broadcaster struct {
	hub     *Hub
	pause   func()
	handed  int      // connections since pause was called
	swept   uint32   // the ordinal at which refreshMarks was called last
	conns   []Conn   // of this turn
	watched []string // users, in this turn; nearly always none

	// Of the broadcast for everyone that is under way: there is one at most.
	shard []Conn // the connections of a shard, when its turn came
	next  int    // those before it are done
}

// progress is how far a broadcast has come. It belongs to the goroutine of RunBroadcasts, and is guarded by Hub.turn, or with
// Config.Resume by order.mu.
type progress struct {
	begun   bool
	members *group            // of a group: nil where nobody is in it any more
	shards  int               // of everyone: so many are done, or in broadcaster.shard
	traces  map[string]*Trace // by user
	shared  *Notification     // for the connections of this turn whose users are not watched
	partial *Notification     // the same, where positions are partial
}

// RunBroadcasts delivers what Broadcast and DeliverGroup have taken, until EndBroadcasts. Each group has a queue, and so has
// everyone; they take turns of 128 connections at most, so that none of them holds up another. When 256 notifications
// wait in a queue, or an eighth of Limits.MaxBroadcastBytes, or all of it in all queues and most of it in this one, its oldest
// is dropped, counted and logged; with Config.GapNotice the connections that it was for are told, once a second at most.
//
// No lock is held meanwhile, so connections can come and go; one that comes while a broadcast is under way may get it, and
// one that leaves does not.
//
// After each 128 deliveries, and when nothing waits any more, pause is called. It has to send them on their way, as the
// feed's Flush does, and should return when the loops have had time for that and for their other work: what is
// delivered by others meanwhile is held up by so many at most. It is called without locks, by this goroutine. Call
// RunBroadcasts once.
func (h *Hub) RunBroadcasts(pause func()) {
	defer close(h.broadcastsEnded)
	r := &broadcaster{hub: h, pause: pause}
	for b := h.broadcasts.next(); b != nil; b = h.broadcasts.next() {
		idle := h.broadcasts.done(r.turn(b))
		if r.handed == broadcastChunk || idle {
			r.pauseNow()
		}
	}
	if cut := h.stats.broadcastsDropped[droppedShutdown].Load(); cut > 0 {
		h.cfg.Logger.Warn("broadcasts were not delivered to all their connections: there was no more time", "broadcasts", cut)
	}
}

// EndBroadcasts takes no more broadcasts, and waits until RunBroadcasts has delivered those that were taken. When ctx
// ends first the rest is dropped: counted, logged and left out. Any goroutine, once RunBroadcasts was called.
func (h *Hub) EndBroadcasts(ctx context.Context) {
	h.broadcasts.close()
	select {
	case <-h.broadcastsEnded:
	case <-ctx.Done():
		h.broadcastsCut.Store(true)
	}
}

// turn delivers a broadcast to the next of its connections. It reports whether that was all, and to how many it was.
func (r *broadcaster) turn(b *broadcast) (finished bool, connections int) {
	defer r.forget()
	if r.hub.stream == nil {
		r.hub.turn.Lock()
		defer r.hub.turn.Unlock()
	}
	if r.hub.stream != nil && b.frame == nil && b.loss == NotLost && !r.hub.number(b) {
		return true, 0 // all were told already
	}
	more := r.collect(b, broadcastChunk-r.handed)
	delivered := r.deliver(b)
	if delivered && !more {
		r.hub.done(b)
	}
	switch {
	case !delivered:
		if b.frame != nil {
			r.hub.stats.broadcastsDropped[droppedShutdown].Add(1)
		}
		more = false
	case !more && b.frame != nil:
		r.hub.stats.broadcastTime.Add(int64(r.hub.Clock() - b.taken))
	}
	return !more, len(r.conns)
}

// collect fills r.conns with the next connections of a broadcast, n at most. It reports whether there are more.
func (r *broadcaster) collect(b *broadcast, n int) (more bool) {
	if b.group == "" {
		return r.collectAll(b, n)
	}
	if !b.begun {
		b.begun = true
		b.members = r.hub.groups.begin(b.group)
	}
	if b.members == nil {
		return false
	}
	number := b.number
	if b.frame == nil { // the notice is for all: who joined late is told too much, and not too little
		number = math.MaxUint64
	}
	r.conns, more = b.members.next(r.conns, n, number)
	return more
}

// collectAll is collect for everyone: from one shard after the other.
func (r *broadcaster) collectAll(b *broadcast, n int) (more bool) {
	shards := r.hub.shards[:]
	for n > 0 && (r.next < len(r.shard) || b.shards < len(shards)) {
		if r.next == len(r.shard) {
			r.shard, r.next = shards[b.shards].collectAll(r.shard[:0]), 0
			b.shards++
		}
		some := r.shard[r.next:min(r.next+n, len(r.shard))]
		r.conns = append(r.conns, some...)
		r.next, n = r.next+len(some), n-len(some)
		clear(some) // so that none is kept that closes
	}
	if r.next < len(r.shard) || b.shards < len(shards) {
		return true
	}
	r.shard, r.next = r.shard[:0], 0
	if cap(r.shard) > maxBatch {
		r.shard = nil
	}
	return false
}

// forget lets go of connections that may close.
func (r *broadcaster) forget() {
	clear(r.conns)
	r.conns = r.conns[:0]
}

// deliver delivers to the connections that were collected. It is false when there is no more time.
func (r *broadcaster) deliver(b *broadcast) bool {
	r.watched = r.hub.watches.users(r.watched[:0], r.hub.cfg.Now())
	if r.hub.stream != nil {
		return r.deliverInOrder(b)
	}
	n := b.notification(r.hub.Clock(), nil)
	for _, c := range r.conns {
		if r.hub.broadcastsCut.Load() {
			return false
		}
		user := c.HubLink().user
		if IsProbe(user) || r.hub.passes(b, c) {
			continue
		}
		r.handed++
		if b.frame == nil {
			c.Missed(b.lost)
			continue
		}
		c.Deliver(r.hub.traced(n, b, user, r.watched))
	}
	return true
}

// deliverInOrder is deliver with Config.Resume: the connections get all that waits for them up to this broadcast, unless they
// have had it already.
func (r *broadcaster) deliverInOrder(b *broadcast) bool {
	o := &r.hub.stream.order
	o.mu.Lock()
	defer o.mu.Unlock()
	b.shared, b.partial = nil, nil
	for _, c := range r.conns {
		if r.hub.broadcastsCut.Load() {
			return false
		}
		r.hub.catchUp(c, b.ordinal, r.watched)
		r.handed++
	}
	if b.ordinal-r.swept > staleMark {
		r.swept = b.ordinal
		r.hub.refreshMarks(b.ordinal)
	}
	return true
}

// pauseNow lets others have their time.
func (r *broadcaster) pauseNow() {
	r.handed = 0
	r.pause()
}

// traced is n, or for a user who is watched n with a trace.
func (h *Hub) traced(n *Notification, b *broadcast, user string, watched []string) *Notification {
	if len(watched) == 0 || !slices.Contains(watched, user) {
		return n
	}
	t := b.traces[user]
	if t == nil {
		if t = h.newBroadcastTrace(b, user); t == nil {
			return n // watched no more
		}
		if b.traces == nil {
			b.traces = make(map[string]*Trace)
		}
		b.traces[user] = t
	}
	t.goesToOneMore()
	return b.notification(n.Arrived, t)
}
