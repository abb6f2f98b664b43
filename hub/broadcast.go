package hub

import (
	"log/slog"
	"time"

	"roost/hub/internal/fairqueue"
	"roost/hub/internal/ring"
	"roost/internal/position"
)

// The limits of what waits for the goroutine of RunBroadcasts. Each notification is charged its frame and
// fairqueue.Overhead.
const (
	maxBroadcasts         = 256      // of one group, and of everyone
	defaultBroadcastBytes = 32 << 20 // of all groups and everyone
	broadcastShare        = 8        // of these bytes one group may have this part, and everyone
)

// gapNoticeEvery is the least time between two notices of dropped broadcasts to the same group.
const gapNoticeEvery = time.Second

// dropReason says why a broadcast did not reach connections that it was for.
type dropReason uint8

const (
	droppedQueueFull  = dropReason(fairqueue.FlowFull)  // too many waited for its group, or for everyone
	droppedQueuesFull = dropReason(fairqueue.QueueFull) // too many bytes waited in all, and most of them for its group
	droppedShutdown   = droppedQueuesFull + 1           // EndBroadcasts had no more time
	dropReasons       = droppedShutdown + 1
)

// String returns the reason as metrics and logs name it.
func (r dropReason) String() string {
	return [dropReasons]string{droppedQueueFull: "queue_full", droppedQueuesFull: "queues_full", droppedShutdown: "shutdown"}[r]
}

// broadcast is one notification for everyone, or for a group; or the notice that some were dropped. How far it has come
// is the business of the goroutine of RunBroadcasts, the rest does not change.
type broadcast struct {
	group  string    // "": it is for everyone
	number uint64    // of a group's: by Hub.groupNumber
	lost   time.Time // of a notice: since when notifications are missing
	since  time.Time // it was not published before

	frame   []byte        // nil: it is a notice
	kind    string        // the type, for traces: cut off where it is long
	size    int32         // for traces: bytes as it was published
	loss    Loss          // with Config.Resume, of a notice
	taken   time.Duration // by Hub.Clock
	after   int64         // as in Notification
	options *options
	made    *shared // by the notifications that were made of it; nil: there is none

	// With Config.Resume, where progress and traces are guarded by order.mu.

	ordinal  uint32            // its place among the broadcasts; of a loss the place of the last one that was dropped
	from     uint32            // the same, but of a loss that of the first
	position position.Position // the place in the stream behind it
	before   position.Position // and before it; of a lost link none

	progress
}

// Broadcast takes one notification for every connection that is open when its turn comes, as the backend published it.
// The goroutine of RunBroadcasts delivers it. An unusable payload is counted, logged at a bounded rate and left out.
//
// Any goroutine may call it; since one does for all that Redis brings, the feed's, broadcasts reach each connection in the
// order in which they were published, and so do notifications for one group. Between everyone's, those of different groups
// and the user's own there is no order. It never waits: while too many wait already the oldest is dropped, see
// RunBroadcasts.
func (h *Hub) Broadcast(payload string) {
	h.stats.broadcasts.Add(1)
	h.hearing.Lock()
	defer h.hearing.Unlock()
	b := &broadcast{}
	now := h.cfg.Now()
	if h.stream != nil {
		h.heardBroadcast(b, ring.Everyone, payload, now)
	}
	h.enqueue(b, payload, now, slog.String("for", "everyone"))
}

// DeliverGroup is Broadcast for the connections that were admitted with a group. A group that nobody here is in costs
// a look-up and nothing else: no JSON is touched for it.
func (h *Hub) DeliverGroup(group, payload string) {
	h.stats.toGroups.Add(1)
	h.hearing.Lock()
	defer h.hearing.Unlock()
	b := &broadcast{group: group}
	var now time.Time
	var wanted bool
	if h.stream != nil {
		now = h.cfg.Now()
		wanted = h.heardBroadcast(b, ring.Group, payload, now)
	} else if wanted = h.groups.has(group); wanted {
		now = h.cfg.Now()
	}
	if !wanted {
		h.stats.groupsOffline.Add(1)
		return
	}
	b.number = h.groupNumber.Add(1)
	h.enqueue(b, payload, now, slog.String("group", group))
}

// BroadcastsWaiting returns how many broadcasts and notifications for groups are not delivered to all their connections
// yet, those under way included. Any goroutine.
func (h *Hub) BroadcastsWaiting() int { return h.broadcasts.waiting() }

// enqueue checks a payload that came just now, builds its frame and puts it on the queue.
func (h *Hub) enqueue(b *broadcast, payload string, now time.Time, whom slog.Attr) {
	envelope, problem := h.read(payload, false)
	if problem != invalidNone {
		h.stats.invalid[problem].Add(1)
		h.invalidLog.warnFor(whom, problem, len(payload))
		if h.stream != nil {
			h.stream.leftOut(b)
		}
		return
	}
	b.frame = envelope.frame(h.stamper.stamp(now), b.position)
	b.options = envelope.options
	b.kind, b.size, b.taken, b.after = tracedKind(envelope.kind), int32(len(payload)), h.arrival(), h.after.Load()
	if b.after != 0 && b.after < now.UnixMilli() {
		now = time.UnixMilli(b.after)
	}
	if h.stream != nil {
		h.stream.order.mu.Lock()
		defer h.stream.order.mu.Unlock()
		h.stream.ordered(b)
	}
	h.put(b, now)
}

// put puts a broadcast on the queue that was published at a time or later. With Config.Resume it is in order.flows, and the
// caller holds order.mu.
func (h *Hub) put(b *broadcast, since time.Time) {
	b.since = since
	dropped, taken := h.broadcasts.put(b, since)
	if !taken {
		h.stats.broadcastsDropped[droppedShutdown].Add(1)
	}
	for _, d := range dropped {
		h.dropped(d)
		if h.stream != nil {
			h.stream.mu.Lock()
			h.stream.order.lose(d.b)
			h.stream.mu.Unlock()
		}
	}
}

// dropped counts a broadcast that had no room, and shows it to those who watch one of its users.
func (h *Hub) dropped(d droppedBroadcast) {
	h.stats.broadcastsDropped[d.why].Add(1)
	h.dropLog.warnDropped(d.b.via(), d.why)
	h.traceDropped(d.b)
}

// passes reports whether a broadcast is not for a connection of its group, or of everyone.
func (h *Hub) passes(b *broadcast, c Conn) bool {
	return b.options.names() && !b.options.reaches(h.idOf(c))
}

// via is what a trace, and the log, says of a broadcast.
func (b *broadcast) via() string {
	if b.group == "" {
		return "everyone"
	}
	return "group " + b.group
}

// notification is what some of the connections get, with a trace or nil.
func (b *broadcast) notification(arrived time.Duration, trace *Trace) *Notification {
	n := &Notification{Frame: b.frame, Arrived: arrived, After: b.after, Trace: trace}
	if b.made == nil {
		b.made = &shared{first: n, waiting: b.options.waiting(b.taken)}
	}
	n.shared.Store(b.made)
	return n
}
