package hub

import (
	"crypto/rand"
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
//     collecting its connections. What is counted before the step is replayed, what is counted behind it is delivered.
//   - A connection gets everything in the order in which it was heard, though broadcasts and notifications for groups wait
//     for their turn, and a user's own do not: see order.
//   - What is lost is told to the connection at its place in that order.

// Resume is what Config.Resume needs.
type Resume struct {
	// Memory holds what was heard of late; nothing else may use it. ring.MinMemory bytes at least. Nil: nobody can resume,
	// and envelopes carry no position.
	Memory []byte
	// Window is for how long it is kept, where there is room.
	Window time.Duration
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

	mu         sync.Mutex // held for moments: loops take it
	ring       *ring.Ring // guarded by mu
	delivering bool       // guarded by mu: the last notification is not in all mailboxes yet
	ordinal    uint32     // guarded by mu: of the last broadcast, see Link.mark
	waiting    int        // guarded by mu: entries in order.flows

	counts resumeCounts
}

// resumeCounts are written by loops.
type resumeCounts struct {
	resumed  atomic.Uint64
	refused  [ring.Refusals]atomic.Uint64
	replayed atomic.Uint64
}

func newStream(cfg Config) *stream {
	if cfg.Resume.Memory == nil {
		return nil
	}
	s := &stream{ring: ring.New(cfg.Resume.Memory, cfg.Resume.Window)}
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

// Marker notes that a marker was heard: a message that all instances on this Redis hear. A position that any of them gives
// out from now on means the same to all. The goroutine that calls Deliver calls it.
func (h *Hub) Marker(message string) {
	if s := h.stream; s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ring.Mark(position.MarkerOf(message), h.cfg.Now().UnixMilli())
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
// that is heard from now on. What is heard is a new stream. The goroutine that calls Deliver calls it, with Config.Resume
// only.
func (h *Hub) TellLost(since time.Time) {
	s := h.stream
	s.order.mu.Lock()
	defer s.order.mu.Unlock()
	s.mu.Lock()
	s.ring.Reset(newMarker(), h.cfg.Now().UnixMilli())
	b := &broadcast{lost: since, loss: LostFeed, ordinal: s.nextOrdinal()}
	s.mu.Unlock()
	h.put(b, since)
}

// nextOrdinal numbers a broadcast that goes into order.flows. The caller holds mu.
func (s *stream) nextOrdinal() uint32 {
	s.waiting++
	s.ordinal++
	return s.ordinal
}

// waits notes that there are so many entries more, or less, in order.flows.
func (s *stream) waits(more int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting += more
}

// heard counts a user's notification and collects its connections, in one step.
func (h *Hub) heard(user, payload string, now time.Time) (p position.Position, only Conn, several *batch) {
	s := h.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	p = s.ring.Append(ring.Key{Kind: ring.User, Name: user}, payload, h.mayKeep(payload), now.UnixMilli())
	hash := h.hash(user)
	only, several = h.shard(hash).collect(user, hash, &h.spareBatch)
	s.delivering = only != nil || several != nil
	return p, only, several
}

// heardBroadcast counts a notification for a group, or for everyone, and numbers it if anybody here is to get it.
func (h *Hub) heardBroadcast(b *broadcast, payload string, now time.Time) (wanted bool) {
	s, key := h.stream, ring.Key{Kind: ring.Group, Name: b.group}
	if b.group == "" {
		key.Kind = ring.Everyone
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b.position = s.ring.Append(key, payload, h.mayKeep(payload), now.UnixMilli())
	if b.group != "" && !h.groups.has(b.group) {
		return false
	}
	b.ordinal = s.nextOrdinal()
	return true
}

// mayKeep reports whether a payload is small enough to be delivered to anybody.
func (h *Hub) mayKeep(payload string) bool {
	limit := h.limits.Load().MaxNotification
	return limit <= 0 || len(payload) <= limit
}

// delivered notes that the last notification is in all mailboxes.
func (s *stream) delivered() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delivering = false
}

// Position returns the place in the stream up to which a connection has been handed everything. ok is false while any
// connection has not, for one that is not admitted, which is handed nothing more, and without Config.Resume. Any goroutine;
// loops too.
func (h *Hub) Position(c Conn) (p position.Position, ok bool) {
	s, link := h.stream, c.HubLink()
	if s == nil {
		return position.Position{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.delivering || s.waiting > 0 || !h.shard(h.hash(link.user)).admitted(link) {
		return position.Position{}, false
	}
	return s.ring.Head(), true
}
