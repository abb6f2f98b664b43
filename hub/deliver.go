package hub

// Deliver hands one notification, as the backend published it, to every open
// connection of user. A user who is not here costs a look-up and nothing else:
// no JSON is touched for them. An unusable payload is counted, logged at a
// bounded rate and left out.
//
// Any goroutine may call it; since one does for all that Redis brings, the feed's,
// the order in which a user's notifications were published is the order in which
// they are queued. It waits while the queue of a loop is full; it never drops.
func (h *Hub) Deliver(user, payload string) {
	probe := IsProbe(user)
	if !probe {
		h.stats.received.Add(1)
	}
	hash := h.hash(user)
	only, several := h.shard(hash).collect(user, hash, &h.spareBatch)
	defer h.spareBatch.keep(several)
	trace := h.NewTrace(user, len(payload))
	if only == nil && several == nil {
		if !probe {
			h.stats.offline.Add(1)
		}
		trace.nobody("offline")
		return
	}
	envelope, problem := h.read(payload, probe)
	if problem != invalidNone {
		h.stats.invalid[problem].Add(1)
		h.invalidLog.warn(user, problem, len(payload))
		trace.nobody(problem.String())
		return
	}
	n := &Notification{Frame: envelope.frame(h.stamper.stamp(h.cfg.Now())), Arrived: h.arrival(), After: h.after.Load(), Trace: trace}
	if several == nil {
		trace.goes(envelope.kind, 1)
		only.Deliver(n)
		return
	}
	trace.goes(envelope.kind, len(several.conns))
	for _, c := range several.conns {
		c.Deliver(n)
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
