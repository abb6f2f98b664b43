package hub

import "log/slog"

// Broadcast takes one notification for every connection that is open when its turn comes, as the backend published it.
// The goroutine of RunBroadcasts hands it over. An unusable payload is counted, logged at a bounded rate and left out.
//
// Any goroutine may call it; since one does for all that Redis brings, the feed's, broadcasts and notifications for
// groups come in the order in which they were published to each connection that gets several. Between them and the
// user's own notifications there is no order. It waits while 64 wait already; it never drops.
func (h *Hub) Broadcast(payload string) {
	h.stats.broadcasts.Add(1)
	h.spread(broadcast{everyone: true}, payload, slog.String("for", "everyone"))
}

// DeliverGroup is Broadcast for the connections that were admitted with a group. A group that nobody here is in costs
// a look-up and nothing else: no JSON is touched for it.
func (h *Hub) DeliverGroup(group, payload string) {
	h.stats.toGroups.Add(1)
	if !h.groups.has(group) {
		h.stats.groupsOffline.Add(1)
		return
	}
	h.spread(broadcast{group: group}, payload, slog.String("group", group))
}

// BroadcastsWaiting returns how many broadcasts and notifications for groups are not handed to all their connections yet,
// the one under way included. Any goroutine.
func (h *Hub) BroadcastsWaiting() int { return h.broadcasts.waiting() }

// spread checks a payload, builds its frame and puts it on the queue.
func (h *Hub) spread(b broadcast, payload string, whom slog.Attr) {
	envelope, problem := h.read(payload, false)
	if problem != invalidNone {
		h.stats.invalid[problem].Add(1)
		h.invalidLog.warnFor(whom, problem, len(payload))
		return
	}
	b.frame = envelope.frame(h.stamper.stamp(h.cfg.Now()))
	b.kind, b.size, b.taken, b.after = envelope.kind, len(payload), h.arrival(), h.after.Load()
	if !h.broadcasts.put(b) {
		h.stats.broadcastsCut.Add(1)
	}
}
