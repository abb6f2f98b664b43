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
	var few [16]Conn // a user's usual handful needs no allocation
	conns := h.shard(user).collect(few[:0], user)
	if len(conns) == 0 {
		if !probe {
			h.stats.offline.Add(1)
		}
		return
	}
	envelope, problem := parseEnvelope(payload)
	if problem != invalidNone {
		h.stats.invalid[problem].Add(1)
		h.invalidLog.warn(user, problem, len(payload))
		return
	}
	n := &Notification{Frame: envelope.frame(h.stamper.stamp(h.cfg.Now()))}
	for _, c := range conns {
		c.Deliver(n)
	}
}
