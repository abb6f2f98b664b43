package hub

import (
	"sync/atomic"
	"time"

	"roost/internal/position"
)

// Deliver hands one notification, as the backend published it, to every open
// connection of user. For a user who is not connected it costs a look-up and
// nothing else: the JSON is not read. An unusable payload is counted, logged at a
// bounded rate and dropped.
//
// Any goroutine may call it. One does for all that Redis sends, the feed's, so a user's
// notifications are queued in the order in which they were published. It waits while the
// mailbox of a loop is full; it never drops for lack of room.
func (h *Hub) Deliver(user, payload string) {
	probe := IsProbe(user)
	if !probe {
		h.stats.received.Add(1)
	}
	var only Conn
	var several *batch
	var at position.Position
	inOrder := h.stream != nil && !probe
	var now time.Time
	if inOrder {
		now = h.cfg.Now()
		at, only, several = h.heard(user, payload, now)
	} else {
		hash := h.hash(user)
		only, several = h.shard(hash).collect(user, hash, &h.spareBatch)
	}
	defer h.spareBatch.put(several)
	trace := h.NewTrace(user, len(payload))
	if only == nil && several == nil {
		if !probe {
			h.stats.offline.Add(1)
		}
		trace.nobody("offline")
		return
	}
	if inOrder {
		defer h.stream.delivered(user) // behind the unlocking of order.mu
	}
	envelope, problem := h.read(payload, probe)
	if problem != invalidNone {
		h.stats.invalid[problem].Add(1)
		h.invalidLog.warn(user, problem, len(payload))
		trace.nobody(problem.String())
		return
	}
	trace.names(envelope.options)
	if only, several = h.addressed(envelope.options, only, several); only == nil && (several == nil || len(several.conns) == 0) {
		h.stats.unnamed.Add(1)
		trace.nobody(problemUnnamed)
		return
	}
	if inOrder {
		h.stream.order.mu.Lock()
		defer h.stream.order.mu.Unlock()
		only, several = h.catchUpAll(only, several)
	} else {
		now = h.cfg.Now()
	}
	n := &Notification{Frame: envelope.frame(h.stamper.stamp(now), at), Arrived: h.arrival(), After: h.after.Load(), Trace: trace}
	n.SetWaiting(envelope.options.waiting(n.Arrived))
	switch {
	case several == nil && only == nil:
		trace.nobody("offline")
		return
	case several == nil:
		trace.goes(envelope.kind, 1)
		if h.stream.isPartial(only.HubLink()) {
			n = n.partial()
		}
		only.Deliver(n)
		return
	}
	trace.goes(envelope.kind, len(several.conns))
	h.deliverSeveral(n, several.conns)
}

// deliverSeveral delivers a notification to the connections of its user.
func (h *Hub) deliverSeveral(n *Notification, conns []Conn) {
	var partial *Notification
	for _, c := range conns {
		if !h.stream.isPartial(c.HubLink()) {
			c.Deliver(n)
			continue
		}
		if partial == nil {
			partial = n.partial()
		}
		c.Deliver(partial)
	}
}

// read parses what was published, unless it is too big: then nothing else is looked at. A health check's own notification
// may have a reserved type.
func (h *Hub) read(payload string, probe bool) (envelope, Invalid) {
	if limit := h.limits.Load().MaxNotification; limit > 0 && len(payload) > limit {
		return envelope{}, InvalidTooBig
	}
	e, problem := parseEnvelope(payload)
	if problem == invalidNone && e.reserved() && !probe {
		return envelope{}, InvalidTypeReserved
	}
	return e, problem
}

// Clock is the time since the hub was made: the clock of Notification.Arrived. Any
// goroutine.
func (h *Hub) Clock() time.Duration { return time.Since(h.started) }

// Arrived notes that what is passed to Deliver, Broadcast and DeliverGroup from now on has just come from
// Redis, until it is called again, and was published after a time, by the wall clock;
// the zero time where that is not known. It reads the clock once for a
// whole batch, so that the time for which notifications wait for each other counts. Without
// it each counts from its call of Deliver. For the goroutine that calls Deliver.
func (h *Hub) Arrived(after time.Time) {
	h.arrived.Store(int64(h.Clock()))
	if after.IsZero() {
		h.after.Store(0)
		return
	}
	h.after.Store(after.UnixMilli())
}

// arrival is when the notification that is being delivered came.
func (h *Hub) arrival() time.Duration {
	if at := h.arrived.Load(); at != 0 {
		return time.Duration(at)
	}
	return h.Clock()
}

// batch is the connections that one notification goes to, copied out of the
// registry so that no lock is held while they get it.
type batch struct {
	conns []Conn
}

// maxBatch bounds, in connections, the batch that is kept for the next notification.
const maxBatch = 4096

// spareBatch keeps the memory of one batch, and no connection. Any goroutine.
type spareBatch struct {
	kept atomic.Pointer[batch]
}

// get returns a batch that holds conns.
func (s *spareBatch) get(conns []Conn) *batch {
	b := s.kept.Swap(nil)
	if b == nil {
		b = new(batch)
	}
	b.conns = append(b.conns, conns...)
	return b
}

// put takes a batch back. It may be nil.
func (s *spareBatch) put(b *batch) {
	if b == nil || cap(b.conns) > maxBatch {
		return
	}
	clear(b.conns) // so that no closed connection stays in memory
	b.conns = b.conns[:0]
	s.kept.Store(b)
}
