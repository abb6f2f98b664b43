package hub

import (
	"crypto/rand"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"roost/hub/internal/ring"
	"roost/internal/position"
)

// With Config.Resume a client that was away for a short time gets what it missed. For that the hub keeps count of all that
// the feed hears, whether its user is here or not, and remembers it for a while (hub/internal/ring). Each envelope carries
// the position behind its notification. Three rules make that position mean "I have everything up to here":
//
//   - Registering and looking for what was missed are one step, under stream.mu. So is counting a notification and
//     collecting its connections. Notifications that are counted before the step are replayed, later ones are delivered.
//   - A connection gets everything in the order in which it was heard, though broadcasts and notifications for groups wait
//     for their turn, and a user's own do not: see order.
//   - A connection is told of a loss at its place in that order.

// Resume is what Config.Resume needs.
type Resume struct {
	// Memory holds what was heard of late; nothing else may use it. ring.MinMemory bytes at least. Nil: nobody can resume,
	// and envelopes carry no position.
	Memory []byte
	// Window is for how long it is kept, where there is room.
	Window time.Duration
	// Hears reports whether a user's notifications come to Deliver now. Any goroutine may ask. Nil: whoever the
	// user is, as with one subscription for all.
	Hears func(user string) bool
	// Proven returns a time up to which all that Redis had sent has come to Deliver; now, where nothing can come. Any goroutine may
	// ask. Nil: that is always so.
	Proven func() time.Time

	// Descriptor is that of Memory, which another process can map (Hub.Export); 0: none can.
	Descriptor int
	// Map returns the memory behind a descriptor of another process's hub, which becomes Map's; unmap gives it back. Nil: such
	// memory is not used.
	Map func(descriptor int) (memory []byte, unmap func(), err error)
}

// MinResumeMemory is the least that Resume.Memory may have.
const MinResumeMemory = ring.MinMemory

// Bounds of what one client is replayed.
const (
	maxReplayed      = 256
	maxReplayedBytes = 1 << 20
)

// stream is the place in the stream, and what was heard of late. Nil: nobody can resume.
type stream struct {
	order order

	mu       sync.Mutex // held for moments: loops take it
	ring     *ring.Ring // guarded by mu
	ordinal  uint32     // guarded by mu: of the last broadcast, see Link.mark
	underway []underway // guarded by mu: what was counted, and is neither in all mailboxes nor in order.flows yet; one at most, as a rule
	groups   []string   // guarded by mu: scratch

	partial    map[*Link]struct{} // guarded by mu: the connections that commands had join groups
	anyPartial atomic.Bool        // there are some; written under mu
	descriptor int                // of the ring's memory; 0: none. Static once connections are registered

	counts resumeCounts
}

// underway is a notification that was counted a moment ago: for a user, or a broadcast.
type underway struct {
	user      string
	broadcast *broadcast
}

// resumeCounts are written by loops.
type resumeCounts struct {
	resumed  atomic.Uint64
	refused  [ring.Refusals]atomic.Uint64
	groups   atomic.Uint64 // refused because the position was partial
	replayed atomic.Uint64

	expired, collapsed atomic.Uint64 // not replayed
}

func newStream(cfg Config) *stream {
	if cfg.Resume.Memory == nil {
		return nil
	}
	s := &stream{ring: ring.New(cfg.Resume.Memory, cfg.Resume.Window), descriptor: cfg.Resume.Descriptor}
	s.order.flows = make(map[string][]*broadcast)
	s.ring.Reset(newMarker(), cfg.Now().UnixMilli())
	return s
}

// newMarker returns a marker that no other instance has.
func newMarker() uint64 {
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	return position.MarkerOf(string(random[:]))
}

// Marker notes that a marker was heard: a message that all instances on this Redis hear. It comes twice, the second time confirmed,
// once no instance can be asked for it that has not heard it: from then on a position that any of them gives out means the same to
// all. The goroutine that calls Deliver calls it.
func (h *Hub) Marker(text string, confirmed bool) {
	s := h.stream
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if confirmed {
		s.ring.Confirm(position.MarkerOf(text))
	} else {
		s.ring.Mark(position.MarkerOf(text), h.cfg.Now().UnixMilli())
	}
}

// NewStream notes that what is heard from now on does not continue what was heard before: the link to Redis was lost. No
// position from before can be resumed from. The goroutine that calls Deliver calls it.
func (h *Hub) NewStream() {
	if s := h.stream; s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ring.Reset(newMarker(), h.cfg.Now().UnixMilli())
	}
}

// TellLost tells all connections that notifications which were published since a time may have been lost, before anything
// that is heard from now on, which is a new stream. The goroutine that calls Deliver calls it, with Config.Resume
// only.
func (h *Hub) TellLost(since time.Time) {
	s := h.stream
	s.order.mu.Lock()
	defer s.order.mu.Unlock()
	s.mu.Lock()
	s.ring.Reset(newMarker(), h.cfg.Now().UnixMilli())
	b := &broadcast{lost: since, loss: LostFeed}
	s.number(b)
	s.order.add(b)
	s.mu.Unlock()
	h.put(b, since)
}

// UserHeard notes that the user is subscribed: notifications come to Deliver from now on, and earlier ones may not have, so nobody
// resumes from an earlier position. The user's connections are told of a gap since a time, before anything that comes later; the
// zero time: they have missed nothing. The goroutine that calls Deliver calls it, with Config.Resume only.
func (h *Hub) UserHeard(user string, since time.Time) {
	s, hash := h.stream, h.hash(user)
	s.mu.Lock()
	s.ring.Break(ring.Key{Kind: ring.User, Name: user}, h.cfg.Now().UnixMilli())
	if since.IsZero() {
		s.mu.Unlock()
		return
	}
	only, several := h.shard(hash).collect(user, hash, &h.spareBatch)
	s.underway = append(s.underway, underway{user: user})
	s.mu.Unlock()
	defer s.delivered(user)
	defer h.spareBatch.put(several)
	n := &Notification{Lost: LostFeed, After: since.UnixMilli()}
	switch {
	case only != nil:
		only.Deliver(n)
	case several != nil:
		for _, c := range several.conns {
			c.Deliver(n)
		}
	}
}

// number gives a broadcast its place among the others. The caller holds mu.
func (s *stream) number(b *broadcast) {
	s.ordinal++
	b.ordinal, b.from = s.ordinal, s.ordinal
}

// ordered puts a broadcast that was counted into order.flows. The caller holds order.mu.
func (s *stream) ordered(b *broadcast) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended(underway{broadcast: b})
	s.order.add(b)
}

// leftOut notes that a broadcast which was counted goes to nobody.
func (s *stream) leftOut(b *broadcast) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended(underway{broadcast: b})
}

// ended takes one out of underway. The caller holds mu.
func (s *stream) ended(u underway) {
	if i := slices.Index(s.underway, u); i >= 0 {
		s.underway = slices.Delete(s.underway, i, i+1)
	}
}

// heard counts a user's notification and collects its connections, in one step.
func (h *Hub) heard(user, payload string, now time.Time) (p position.Position, only Conn, several *batch) {
	s := h.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	p = s.ring.Append(ring.Key{Kind: ring.User, Name: user}, payload, h.mayKeep(payload), now.UnixMilli())
	hash := h.hash(user)
	only, several = h.shard(hash).collect(user, hash, &h.spareBatch)
	if only != nil || several != nil {
		s.underway = append(s.underway, underway{user: user})
	}
	return p, only, several
}

// heardBroadcast counts a notification for a group, or for everyone, and numbers it if anybody here is to get it.
func (h *Hub) heardBroadcast(b *broadcast, whom ring.Kind, payload string, now time.Time) (wanted bool) {
	s := h.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	b.before = s.ring.Head()
	b.position = s.ring.Append(ring.Key{Kind: whom, Name: b.group}, payload, h.mayKeep(payload), now.UnixMilli())
	if whom == ring.Group && !h.groups.has(b.group) {
		return false
	}
	s.number(b)
	s.underway = append(s.underway, underway{broadcast: b})
	return true
}

// mayKeep reports whether a payload is small enough to be delivered to anybody.
func (h *Hub) mayKeep(payload string) bool {
	limit := h.limits.Load().MaxNotification
	return limit <= 0 || len(payload) <= limit
}

// delivered notes that a user's notification is in all mailboxes.
func (s *stream) delivered(user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended(underway{user: user})
}

// Position returns the place in the stream up to which a connection has been handed everything that is for it. ok is false
// in the moment in which it is handed something, while it has to be told of a loss, for one that is not admitted, which is
// handed nothing more, and without Config.Resume. Any goroutine; loops too.
//
// Notifications that wait for others don't count, or an idle connection of a busy server would fall behind.
func (h *Hub) Position(c Conn) (p position.Position, ok bool) {
	s := h.stream
	if s == nil {
		return position.Position{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return h.positionOf(c.HubLink())
}

// positionOf is Position for a caller that holds stream.mu.
func (h *Hub) positionOf(link *Link) (p position.Position, ok bool) {
	s := h.stream
	if s.groups, ok = h.shard(h.hash(link.user)).groupsOf(link, s.groups[:0]); !ok || s.order.handing.Load() == link {
		return position.Position{}, false
	}
	var first *broadcast // of those that wait for the connection
	earliest := func(b *broadcast) {
		if b != nil && (first == nil || int32(b.from-first.from) < 0) {
			first = b
		}
	}
	mark := atomic.LoadUint32(&link.mark)
	earliest(firstWaiting(s.order.flows[""], mark))
	for _, group := range s.groups {
		earliest(firstWaiting(s.order.flows[group], mark))
	}
	for _, u := range s.underway {
		switch b := u.broadcast; {
		case b == nil && u.user == link.user:
			return position.Position{}, false
		case b != nil && (b.group == "" || slices.Contains(s.groups, b.group)):
			earliest(b)
		}
	}
	switch {
	case first == nil:
		p = s.ring.Head()
	case first.before.IsZero(), had(mark, first.from): // a lost link; or a loss that has grown since it was told
		return position.Position{}, false
	default:
		p = first.before
	}
	_, p.Partial = s.partial[link]
	return p, true
}

// Before returns the place in the stream before a notification that Conn.Deliver was handed: whoever has everything up to
// there lacks this one. ok is false where it is not known any more. Any goroutine; loops too.
func (h *Hub) Before(n *Notification) (p position.Position, ok bool) {
	s := h.stream
	if s == nil {
		return position.Position{}, false
	}
	if p, ok = n.position(); !ok {
		return position.Position{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ring.Before(p)
}
