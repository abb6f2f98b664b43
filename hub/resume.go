package hub

import (
	"slices"
	"time"

	"roost/hub/internal/ring"
	"roost/internal/position"
)

// Arrival is a connection that is to be admitted.
type Arrival struct {
	User   string
	Groups []string // none twice

	// Since is the position up to which the client has everything; "": it does not say. Only with Config.Resume.
	Since string

	// WantsID says that the client asks for the id of its connection. Connection is that of the connection it had before, which it
	// keeps; "": it names none.
	WantsID    bool
	Connection string

	// Replaces says that the connection may only take the place of another one, and of that only if this says so: see
	// Hub.Replace. Nil: it may be one more.
	Replaces func(oldest Conn) bool
}

// Welcome is what a connection is told when it is admitted.
type Welcome struct {
	// Connection is the id of the connection, for a client that asked for it; else "".
	Connection string

	// ID is the position up to which the client has everything before it gets Missed; "": without Config.Resume.
	ID string

	// Result says whether the client came back, and how that went.
	Result ResumeResult

	// Missed is what it missed: to be sent before all that Deliver hands over.
	Missed []*Notification

	// LostSince is, with ResumeRefused, a time before which nothing is missing; the zero time: none is known.
	LostSince time.Time
}

// ResumeResult is what became of Arrival.Since.
type ResumeResult uint8

// The results.
const (
	ResumeNotAsked ResumeResult = iota // the client named no position
	ResumeDone                         // Missed is all that the client missed
	ResumeRefused                      // the client may have missed more than can be told
)

// publishedBefore is, in milliseconds, how long a notification may have been on its way when it was heard: a link that is
// silent for longer is given up.
const publishedBefore = 10_000

// Arrive admits a connection as Admit does, and looks for what it missed. Both are one step: each notification is either in
// Welcome.Missed or handed to Conn.Deliver. A client that is ahead of this instance is refused with ErrBehind: what it has
// already would come again. The caller sends the welcome before anything that it is handed.
func (h *Hub) Arrive(c Conn, a Arrival) (total, ofUser int, w Welcome, err error) {
	s := h.stream
	if s == nil || IsProbe(a.User) {
		entry := h.enter(c, a, 0)
		if entry.err == nil {
			w.Connection = h.greet(c, &a)
		}
		h.entered(entry)
		return entry.total, entry.ofUser, w, entry.err
	}
	since, known := position.Parse(a.Since)
	var missed []ring.Missed
	why := ring.Unknown
	after := int64(0)
	if known && h.cfg.Resume.Hears != nil && !h.cfg.Resume.Hears(a.User) {
		known, why = false, ring.Unheard // when the user is heard again, those who are here are told of a gap
	}
	now := h.cfg.Now()
	proven := now
	if h.cfg.Resume.Proven != nil {
		proven = h.cfg.Resume.Proven() // before the look: what comes meanwhile was sent later
	}
	s.mu.Lock()
	if known && s.behind(since, now, proven) {
		s.mu.Unlock()
		return 0, 0, w, ErrBehind
	}
	entry := h.enter(c, a, s.ordinal)
	if entry.err == nil {
		if known {
			missed, after, why = s.ring.Since(since, keysOf(a), ring.Bounds{Items: maxReplayed, Bytes: maxReplayedBytes})
		}
		w.ID = s.ring.Head().String()
		w.Connection = h.greet(c, &a)
	}
	s.mu.Unlock()
	h.entered(entry)
	if entry.err == nil && why == ring.NotRefused && !s.fill(missed) {
		why = ring.TooOld
	}
	switch {
	case entry.err != nil || a.Since == "":
	case position.IsPartial(a.Since):
		w.Result = ResumeRefused
		s.counts.groups.Add(1)
	case why != ring.NotRefused:
		w.Result = ResumeRefused
		s.counts.refused[why].Add(1)
		if after != 0 {
			w.LostSince = time.UnixMilli(after - publishedBefore)
		}
	default:
		w.Result = ResumeDone
		s.counts.resumed.Add(1)
		w.Missed = h.replays(missed, &a)
		s.counts.replayed.Add(uint64(len(w.Missed)))
		if len(w.Missed) > 0 {
			w.ID = a.Since
		}
	}
	return entry.total, entry.ofUser, w, entry.err
}

// late is for how long nothing may have proven that all has come before an instance takes itself for slow: two heartbeats.
const late = 4 * time.Second

// behind reports whether what is up to a position may still come. It is also said of a marker that is not known, where it may be
// among what has not come. The caller holds mu.
func (s *stream) behind(since position.Position, now, proven time.Time) bool {
	return s.ring.Ahead(since, now.UnixMilli(), proven.UnixMilli()) || !s.ring.Knows(since) && now.Sub(proven) > late
}

// filledAtOnce bounds, in bytes, what is copied of the ring while others wait for it.
const filledAtOnce = 32 << 10

// fill copies the payloads of what was missed. It is false where they were forgotten meanwhile, which takes a ring that is far
// too small.
func (s *stream) fill(missed []ring.Missed) bool {
	for len(missed) > 0 {
		room := missed[0].Size
		for _, m := range missed[1:] {
			if room+m.Size > filledAtOnce {
				break
			}
			room += m.Size
		}
		buf := make([]byte, room)
		s.mu.Lock()
		filled, ok := s.ring.Fill(missed, buf)
		s.mu.Unlock()
		if !ok {
			return false
		}
		missed = missed[filled:]
	}
	return true
}

func keysOf(a Arrival) []ring.Key {
	keys := make([]ring.Key, 0, len(a.Groups)+2)
	keys = append(keys, ring.Key{Kind: ring.User, Name: a.User}, ring.Key{Kind: ring.Everyone})
	for _, group := range a.Groups {
		keys = append(keys, ring.Key{Kind: ring.Group, Name: group})
	}
	return keys
}

// replays makes notifications of what was missed, without what is none, and what was not for the connection that the client had.
func (h *Hub) replays(missed []ring.Missed, a *Arrival) []*Notification {
	var all []*Notification
	collapsed := make(map[uint64]int) // in all, by key
	id, _ := parseConnID(a.Connection)
	for _, m := range missed {
		e, problem := h.read(m.Payload, false)
		if problem != invalidNone {
			continue // counted when it was heard, or nobody was here to count it
		}
		if !e.options.reaches(id) {
			continue
		}
		heard := time.UnixMilli(m.Heard)
		if o := e.options; o != nil && o.hasTTL && h.cfg.Now().Sub(heard) > o.ttl {
			h.stream.counts.expired.Add(1)
			continue
		}
		trace := h.NewTrace(a.User, len(m.Payload))
		trace.goes(e.kind, 1)
		trace.names(e.options)
		trace.replayed(m.Key)
		n := &Notification{
			Frame:   e.frame(h.stamper.stamp(heard), m.Position),
			Arrived: h.Clock(), After: m.Heard - publishedBefore, Trace: trace,
		}
		n.SetWaiting(e.options.waiting(n.Arrived - h.cfg.Now().Sub(heard)))
		if w := n.Waiting(); w != nil && w.Collapse != 0 {
			if i, ok := collapsed[w.Collapse]; ok {
				h.stream.counts.collapsed.Add(1)
				all[i].Trace.Failed("collapsed")
				all[i] = nil
			}
			collapsed[w.Collapse] = len(all)
		}
		all = append(all, n)
	}
	return slices.Clip(slices.DeleteFunc(all, func(n *Notification) bool { return n == nil }))
}

// replayed notes that it was missed, and is replayed.
func (t *Trace) replayed(key ring.Key) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen.Replayed = true
	switch key.Kind {
	case ring.Group:
		t.seen.Via = "group " + key.Name
	case ring.Everyone:
		t.seen.Via = "everyone"
	}
}

// ResumeStats are part of Stats.
type ResumeStats struct {
	Window   time.Duration     // how far back a client can resume now; 0 without Config.Resume
	Bytes    int               // that what can be replayed takes
	Room     int               // that it may take
	Kept     int               // notifications that can be replayed
	Results  map[string]uint64 // clients that came back, by result: "resumed", or why not
	Replayed uint64            // notifications × connections
	Skipped  map[string]uint64 // notifications × connections that were not replayed: by ttl, or because a later one collapsed them
}

func (h *Hub) resumeStats() ResumeStats {
	stats := ResumeStats{Results: map[string]uint64{"resumed": 0, "groups": 0}, Skipped: map[string]uint64{"expired": 0, "collapsed": 0}}
	for why := ring.Unknown; why < ring.Refusals; why++ {
		stats.Results[why.String()] = 0
	}
	s := h.stream
	if s == nil {
		return stats
	}
	stats.Results["resumed"], stats.Replayed = s.counts.resumed.Load(), s.counts.replayed.Load()
	stats.Skipped = map[string]uint64{"expired": s.counts.expired.Load(), "collapsed": s.counts.collapsed.Load()}
	stats.Results["groups"] = s.counts.groups.Load()
	for why := ring.Unknown; why < ring.Refusals; why++ {
		stats.Results[why.String()] = s.counts.refused[why].Load()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	stats.Window = s.ring.Reach(h.cfg.Now().UnixMilli())
	stats.Bytes, stats.Room, stats.Kept = s.ring.Used(), s.ring.Room(), s.ring.Kept()
	return stats
}

// Resumes reports whether clients can resume. Any goroutine.
func (h *Hub) Resumes() bool { return h.stream != nil }
