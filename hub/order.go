package hub

import (
	"cmp"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

// Broadcasts and notifications for groups wait for their turn, and a user's own notifications do not. With Config.Resume
// each connection gets all of them in the order in which they were heard all the same, or a position would step over those
// that wait. Each broadcast has an ordinal, and each connection's Link the ordinal up to which it has had everything that is
// for it. Before a connection is handed something, it is handed what waits for it and is older; when the turn of that
// comes, the connection is passed over.
//
// A dropped broadcast stays in its place as a loss, and the connection is told of the loss there.

// order is the broadcasts that not all of their connections have had.
type order struct {
	// mu is held while anything is handed to connections that may have something waiting, so that nothing comes between
	// the look and the handing over. Mailboxes may have to be waited for meanwhile: loops never take it.
	mu sync.Mutex
	// flows is by group, "" for everyone, the oldest first. Of losses there is one at a time between two others. Writers hold mu
	// and stream.mu, readers one of them.
	flows   map[string][]*broadcast
	scratch []*broadcast // guarded by mu
	groups  []string     // guarded by mu: scratch, too
	// handing is the connection that is being handed what waited for it, until its mark says so.
	handing atomic.Pointer[Link]
}

// had reports whether a connection whose link has a mark has had what has an ordinal. Both go round.
func had(mark, ordinal uint32) bool { return int32(ordinal-mark) <= 0 }

// staleMark is how old a mark may become: had compares half of what a uint32 can tell apart.
const staleMark = 1 << 30

// firstWaiting returns the first of a flow that a connection with a mark has not had, nil if there is none.
func firstWaiting(list []*broadcast, mark uint32) *broadcast {
	i := sort.Search(len(list), func(i int) bool { return !had(mark, list[i].ordinal) })
	if i == len(list) {
		return nil
	}
	return list[i]
}

// add puts a broadcast in. The caller holds mu and stream.mu, as for all that changes flows.
func (o *order) add(b *broadcast) {
	o.flows[b.group] = append(o.flows[b.group], b)
}

// remove takes one out, and reports whether it was in.
func (o *order) remove(b *broadcast) bool {
	list := o.flows[b.group]
	i := slices.Index(list, b)
	if i < 0 {
		return false
	}
	if list = slices.Delete(list, i, i+1); len(list) == 0 {
		delete(o.flows, b.group)
	} else {
		o.flows[b.group] = list
	}
	return true
}

// lose puts a loss in the place of a broadcast that was dropped. One behind another loss of its group becomes part of that,
// and connections that were told of its beginning are told again.
func (o *order) lose(b *broadcast) {
	list := o.flows[b.group]
	i := slices.Index(list, b)
	if i < 0 {
		return
	}
	if i > 0 && list[i-1].frame == nil && list[i-1].loss == LostBroadcast {
		before := list[i-1]
		before.ordinal, before.lost = b.ordinal, earlier(before.lost, b.since)
		o.remove(b)
		return
	}
	list[i] = &broadcast{group: b.group, lost: b.since, loss: LostBroadcast, from: b.ordinal, ordinal: b.ordinal, before: b.before}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// latestLoss returns the ordinal of the newest loss of a group, or, for everyone, of all flows: the fair queue tells everyone
// where many groups would have to be told. The caller holds mu.
func (o *order) latestLoss(group string) (ordinal uint32, ok bool) {
	for name, list := range o.flows {
		if group != "" && name != group {
			continue
		}
		for _, b := range list {
			if b.loss == LostBroadcast && (!ok || !had(ordinal, b.ordinal)) {
				ordinal, ok = b.ordinal, true
			}
		}
	}
	return ordinal, ok
}

// told takes the losses out that a notice was for.
func (o *order) told(notice *broadcast) {
	for name, list := range o.flows {
		if notice.group != "" && name != notice.group {
			continue
		}
		for _, b := range slices.Clone(list) {
			if b.loss == LostBroadcast && had(notice.ordinal, b.ordinal) {
				o.remove(b)
			}
		}
	}
}

// catchUp hands a connection all that waits for it up to an ordinal, the oldest first. It is false for one that was removed
// meanwhile: nothing may be handed to it any more, as it is in no groups, and a position would step over what waits for
// them. The caller holds order.mu. watched are users.
func (h *Hub) catchUp(c Conn, upTo uint32, watched []string) (admitted bool) {
	link, o := c.HubLink(), &h.stream.order
	if had(link.mark, upTo) || IsProbe(link.user) {
		return true
	}
	o.handing.Store(link) // before the look whether it is admitted: see removeAt
	defer o.handing.Store(nil)
	if o.groups, admitted = h.shard(h.hash(link.user)).groupsOf(link, o.groups[:0]); !admitted {
		return false
	}
	o.scratch = appendWaiting(o.scratch[:0], o.flows[""], link.mark, upTo)
	for _, group := range o.groups {
		o.scratch = appendWaiting(o.scratch, o.flows[group], link.mark, upTo)
	}
	if len(o.scratch) > 1 {
		slices.SortFunc(o.scratch, func(a, b *broadcast) int { return cmp.Compare(int32(a.from-b.from), 0) })
	}
	for _, b := range o.scratch {
		if h.passes(b, c) {
			continue
		}
		c.Deliver(h.broadcastFor(b, link, watched))
	}
	atomic.StoreUint32(&link.mark, upTo) // behind the handing over: a loop may look at any moment
	clear(o.scratch)
	return true
}

func appendWaiting(dst, list []*broadcast, mark, upTo uint32) []*broadcast {
	for _, b := range list {
		if !had(mark, b.ordinal) && had(upTo, b.from) {
			dst = append(dst, b)
		}
	}
	return dst
}

// catchUpAll hands connections what waits for them, before a user's own notification that was just heard. It returns those
// of them that this may be handed to. The caller holds order.mu.
func (h *Hub) catchUpAll(only Conn, several *batch) (Conn, *batch) {
	s := h.stream
	if len(s.order.flows) == 0 {
		return only, several
	}
	s.mu.Lock()
	upTo := s.ordinal
	s.mu.Unlock()
	watched := h.watches.users(nil, h.cfg.Now())
	if several == nil {
		if !h.catchUp(only, upTo, watched) {
			only = nil
		}
		return only, nil
	}
	several.conns = slices.DeleteFunc(several.conns, func(c Conn) bool { return !h.catchUp(c, upTo, watched) })
	return nil, several
}

// groupsOf appends the names of the groups that a connection is in. It is false for one that is not admitted.
func (s *shard) groupsOf(link *Link, dst []string) (groups []string, admitted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	places := s.grouped.Get(link)
	for i := range places { // a place's seat has another lock
		dst = append(dst, places[i].of.name)
	}
	return dst, link.seat != 0
}

// refreshMarks moves marks on that are so old that they would soon look new. The caller holds order.mu.
func (h *Hub) refreshMarks(now uint32) {
	var conns []Conn
	for i := range h.shards {
		conns = h.shards[i].collectAll(conns[:0])
		for _, c := range conns {
			if link := c.HubLink(); int32(now-link.mark) > staleMark {
				atomic.StoreUint32(&link.mark, now-staleMark)
			}
		}
	}
}

// broadcastFor is the notification that a connection gets of a broadcast, or of a loss. The caller holds order.mu.
func (h *Hub) broadcastFor(b *broadcast, link *Link, watched []string) *Notification {
	switch {
	case b.frame == nil:
		return &Notification{Lost: b.loss, After: b.lost.UnixMilli()}
	case b.shared == nil:
		b.shared = b.notification(h.Clock(), nil)
	}
	n := h.traced(b.shared, b, link.user, watched)
	switch {
	case !h.stream.isPartial(link):
		return n
	case n != b.shared: // with a trace
		return n.partial()
	case b.partial == nil:
		b.partial = n.partial()
	}
	return b.partial
}

// number gives the notice of losses the ordinal of the latest of them. It is false where all were told already. It is called
// before connections are collected: those that come later have missed none of these.
func (h *Hub) number(notice *broadcast) (ok bool) {
	h.stream.order.mu.Lock()
	defer h.stream.order.mu.Unlock()
	if notice.ordinal, ok = h.stream.order.latestLoss(notice.group); ok {
		notice.loss = LostBroadcast
	}
	return ok
}

// done notes that a broadcast was handed to all of its connections, or that they were told of a loss.
func (h *Hub) done(b *broadcast) {
	s := h.stream
	if s == nil {
		return
	}
	s.order.mu.Lock()
	defer s.order.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.frame == nil && b.loss == LostBroadcast {
		s.order.told(b)
		return
	}
	s.order.remove(b)
}
