package hub

import (
	"context"
	"slices"
)

// spreadChunk is how many connections are handed a broadcast before everything else gets its time. With 256 a user's own
// notification is twice as late in the middle of one, with 64 a broadcast takes half as long again.
const spreadChunk = 128

// spreader hands broadcasts over. It belongs to the goroutine of RunBroadcasts.
type spreader struct {
	hub    *Hub
	settle func()

	conns  []Conn // of the broadcast under way: a shard's, or the group's
	handed int    // since settle was called

	watched []string          // of the users now; nearly always none
	traces  map[string]*Trace // of the broadcast under way, by user
}

// RunBroadcasts hands over what Broadcast and DeliverGroup have taken, one after the other, until EndBroadcasts. No lock
// is held meanwhile: connections that come and go are in nobody's way, one that comes while a broadcast is under way may
// get it, and one that leaves gets it no more.
//
// After each 128 deliveries, and when nothing waits any more, settle is called. It has to send them on their way, as the
// feed's Flush does, and should return when the loops have had time for that and for their other work: what is
// delivered by others meanwhile is held up by so many at most. It is called without locks, by this goroutine. Call
// RunBroadcasts once.
func (h *Hub) RunBroadcasts(settle func()) {
	defer close(h.broadcastsEnded)
	s := &spreader{hub: h, settle: settle}
	for {
		b, ok := h.broadcasts.next()
		if !ok {
			break
		}
		if !s.spread(&b) {
			h.stats.broadcastsCut.Add(1)
			continue
		}
		h.stats.broadcastTime.Add(int64(h.Clock() - b.taken))
		if h.broadcasts.waiting() == 1 { // this one
			s.settleNow()
		}
	}
	if cut := h.stats.broadcastsCut.Load(); cut > 0 {
		h.cfg.Logger.Warn("broadcasts were not handed to all their connections, there was no more time", "broadcasts", cut)
	}
}

// EndBroadcasts takes no more broadcasts, and waits until RunBroadcasts has handed over those that were taken. When ctx
// ends first the rest is cut: counted, logged and left out. Any goroutine, once RunBroadcasts was called.
func (h *Hub) EndBroadcasts(ctx context.Context) {
	h.broadcasts.close()
	select {
	case <-h.broadcastsEnded:
	case <-ctx.Done():
		h.broadcastsCut.Store(true)
	}
}

// spread hands one broadcast over. It is false when it was cut.
func (s *spreader) spread(b *broadcast) bool {
	h := s.hub
	s.watched, s.traces = h.watches.users(s.watched[:0], h.cfg.Now()), nil
	defer s.forget()
	if !b.everyone {
		s.conns = h.groups.collect(s.conns, b.group)
		return s.handOver(b)
	}
	for i := range h.shards {
		s.conns = h.shards[i].collectAll(s.conns[:0])
		if !s.handOver(b) {
			return false
		}
	}
	return true
}

// forget lets go of connections that may close, and of much memory.
func (s *spreader) forget() {
	clear(s.conns[:cap(s.conns)])
	s.conns = s.conns[:0]
	if cap(s.conns) > maxBatch {
		s.conns = nil
	}
}

// handOver delivers to the connections that were collected. It is false when it was cut.
func (s *spreader) handOver(b *broadcast) bool {
	n := &Notification{Frame: b.frame, Arrived: s.hub.Clock(), After: b.after}
	for _, c := range s.conns {
		if s.handed == spreadChunk {
			s.settleNow()
			n = &Notification{Frame: b.frame, Arrived: s.hub.Clock(), After: b.after}
		}
		if s.hub.broadcastsCut.Load() {
			return false
		}
		user := c.HubLink().user
		if IsProbe(user) {
			continue
		}
		s.handed++
		c.Deliver(s.traced(n, b, user))
	}
	return true
}

// settleNow lets others have their time.
func (s *spreader) settleNow() {
	s.handed = 0
	s.settle()
}

// traced is n, or for a user who is watched n with a trace.
func (s *spreader) traced(n *Notification, b *broadcast, user string) *Notification {
	if len(s.watched) == 0 || !slices.Contains(s.watched, user) {
		return n
	}
	t := s.traces[user]
	if t == nil {
		if t = s.hub.NewTrace(user, b.size); t == nil {
			return n // watched no more
		}
		t.goes(b.kind, 0)
		if s.traces == nil {
			s.traces = make(map[string]*Trace)
		}
		s.traces[user] = t
	}
	t.goesVia(b.via())
	return &Notification{Frame: n.Frame, Arrived: n.Arrived, After: n.After, Trace: t}
}

// via is what a trace says of a broadcast.
func (b *broadcast) via() string {
	if b.everyone {
		return "everyone"
	}
	return "group " + b.group
}
