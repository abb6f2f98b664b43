package hub

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A watch answers why a user got nothing: it keeps what became of the user's
// latest notifications, from the first question on. Most of
// the time nobody asks, and then it costs a delivery one atomic read.

const (
	// watchedFor is how long a watch lasts after it was last asked for.
	watchedFor = 15 * time.Minute
	// maxWatches bounds the users that are watched at once. The next one takes the
	// place of the one for which nobody has asked for longest.
	maxWatches = 16
	// keptTraces is how many notifications a watch remembers.
	keptTraces = 20
	// maxTracedKind bounds, in bytes, what is kept of a notification's type.
	maxTracedKind = 64
)

// watches is the users that are watched. Any goroutine.
type watches struct {
	active atomic.Bool // somebody is watched; written under mu

	mu     sync.Mutex
	byUser map[string]*watch // guarded by mu
}

// watch is what is remembered of one user.
type watch struct {
	since, until time.Time // guarded by watches.mu

	mu     sync.Mutex
	total  int      // guarded by mu: notifications ever
	traces []*Trace // guarded by mu: the latest, oldest first
}

// Watched is what a watch has seen.
type Watched struct {
	Since time.Time // from then on notifications were seen
	Until time.Time // until then they will be, unless asked for again
	Total int       // notifications since Since
	// Latest are the last of them, 20 at most, oldest first.
	Latest []Traced
}

// Watch begins to watch a user, or goes on for 15 minutes more, and returns what
// was seen so far. 16 users are watched at once. Any goroutine but a loop's.
func (h *Hub) Watch(user string) Watched {
	now := h.cfg.Now()
	w, seen := h.watches.begin(user, now)
	w.mu.Lock()
	defer w.mu.Unlock()
	seen.Total = w.total
	for _, t := range w.traces {
		seen.Latest = append(seen.Latest, t.read())
	}
	return seen
}

// ConnsOf returns the connections of user, max at most, and how many there are.
// They may be closed by the time that they are looked at. Any goroutine.
func (h *Hub) ConnsOf(user string, max int) (some []Conn, all int) {
	hash := h.hash(user)
	only, several := h.shard(hash).collect(user, hash, &h.spareBatch)
	defer h.spareBatch.put(several)
	switch {
	case only != nil:
		return []Conn{only}, 1
	case several != nil:
		all = len(several.conns)
		return append(some, several.conns[:min(all, max)]...), all
	}
	return nil, 0
}

// begin finds or makes the watch of a user.
func (s *watches) begin(user string, now time.Time) (*watch, Watched) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now)
	w := s.byUser[user]
	if w == nil {
		if len(s.byUser) >= maxWatches {
			s.endOldest()
		}
		if s.byUser == nil {
			s.byUser = make(map[string]*watch)
		}
		w = &watch{since: now}
		s.byUser[user] = w
		s.active.Store(true)
	}
	w.until = now.Add(watchedFor)
	return w, Watched{Since: w.since, Until: w.until}
}

// expire ends the watches that nobody asked for in time. The caller holds mu.
func (s *watches) expire(now time.Time) {
	for user, w := range s.byUser {
		if now.After(w.until) {
			delete(s.byUser, user)
		}
	}
	s.active.Store(len(s.byUser) > 0)
}

// endOldest makes room. The caller holds mu.
func (s *watches) endOldest() {
	oldest := ""
	for user, w := range s.byUser {
		if oldest == "" || w.until.Before(s.byUser[oldest].until) {
			oldest = user
		}
	}
	delete(s.byUser, oldest)
}

// users appends the users that are watched to dst.
func (s *watches) users(dst []string, now time.Time) []string {
	if !s.active.Load() {
		return dst
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now)
	return slices.AppendSeq(dst, maps.Keys(s.byUser))
}

// of returns the watch of a user, nil for none.
func (s *watches) of(user string, now time.Time) *watch {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now)
	return s.byUser[user]
}

// NewTrace begins the trace of a notification for a user, nil if the user is not
// watched. Deliver calls it. Any goroutine.
func (h *Hub) NewTrace(user string, size int) *Trace {
	if !h.watches.active.Load() {
		return nil
	}
	now := h.cfg.Now()
	w := h.watches.of(user, now)
	if w == nil {
		return nil
	}
	t := &Trace{at: now, clock: h.cfg.Now, seen: Traced{At: now, Bytes: size}}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.total++
	if len(w.traces) == keptTraces {
		w.traces = append(w.traces[:0], w.traces[1:]...)
	}
	w.traces = append(w.traces, t)
	return t
}
