package hub

import (
	"encoding/json"
	"maps"
	"strings"
	"sync"
	"time"
)

// Trace is what becomes of one notification of a user who is watched. It is nil for nearly all: nobody
// watches them. Any goroutine.
type Trace struct {
	at    time.Time        // static
	clock func() time.Time // static

	mu   sync.Mutex // held for assignments only
	seen Traced     // guarded by mu
}

// Traced is a trace at one moment. It has nothing of the payload.
type Traced struct {
	At    time.Time // when it came from Redis
	Type  string    // cut off where it is long; "" where it was not looked at
	Bytes int       // as it was published
	Via   string    // "" for one that is the user's own, else what it was for: "everyone", or "group " and its name

	Replayed bool // the client had missed it, and got it when it came back

	Traceparent string         // that the backend has sent with it; "": none
	Problem     string         // why it went to nobody: "offline", or what is wrong with it; "": it did
	Connections int            // that it went to
	Sent        int            // of these: the kernel took the last byte
	Failed      map[string]int // of these: never will be sent, by reason

	Unacknowledged int           // of Sent: their connections ended before the clients had acknowledged it
	Took           time.Duration // from At to the last change of Sent or Failed
}

// Queued is how many connections it still waits for.
func (t Traced) Queued() int {
	n := t.Connections - t.Sent
	for _, failed := range t.Failed {
		n -= failed
	}
	return n
}

// Sent notes that the kernel took the last byte for one connection.
func (t *Trace) Sent() {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen.Sent++
	t.seen.Took = t.clock().Sub(t.at)
}

// Failed notes that one connection will not get it.
func (t *Trace) Failed(why string) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.seen.Failed == nil {
		t.seen.Failed = make(map[string]int, 1)
	}
	t.seen.Failed[why]++
	t.seen.Took = t.clock().Sub(t.at)
}

// Unacknowledged notes that one connection, for which it was sent, ended before its
// client had acknowledged it.
func (t *Trace) Unacknowledged() {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen.Unacknowledged++
}

// nobody notes that it goes nowhere.
func (t *Trace) nobody(why string) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen.Problem = why
}

// goes notes its type, a JSON string, and to how many connections it goes.
func (t *Trace) goes(kind string, connections int) {
	if t == nil {
		return
	}
	text := tracedKind(kind)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen.Type = text
	t.seen.Connections = connections
}

// names notes the traceparent of a notification.
func (t *Trace) names(o *options) {
	if t == nil || o == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen.Traceparent = strings.Clone(o.traceparent)
}

// tracedKind is what is kept of a type, a JSON string. It is a copy: else all of the payload would stay.
func tracedKind(kind string) string {
	var text string
	if err := json.Unmarshal([]byte(kind), &text); err != nil {
		return "?" // it has been found to be a string
	}
	if len(text) > maxTracedKind {
		text = strings.ToValidUTF8(text[:maxTracedKind], "") + "…"
	}
	return text
}

// ProblemDropped is the problem of a broadcast that was dropped because too many waited.
const ProblemDropped = "too_many_broadcasts"

// problemUnnamed is the problem of a notification that was for none of the user's connections here, by "only" or "except".
const problemUnnamed = "other_connections"

// newBroadcastTrace begins the trace of a broadcast for one of its users, nil if the user is not watched.
func (h *Hub) newBroadcastTrace(b *broadcast, user string) *Trace {
	t := h.NewTrace(user, int(b.size))
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen.Type, t.seen.Via = b.kind, b.via()
	if b.options != nil {
		t.seen.Traceparent = strings.Clone(b.options.traceparent)
	}
	return t
}

// goesToOneMore notes that a broadcast goes to one more connection.
func (t *Trace) goesToOneMore() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen.Connections++
}

// traceDropped shows a broadcast that was dropped to those who watch a user that it was for.
func (h *Hub) traceDropped(b *broadcast) {
	if !h.watches.active.Load() {
		return
	}
	for _, user := range h.watches.users(nil, h.cfg.Now()) {
		if h.concerns(b, user) {
			h.newBroadcastTrace(b, user).nobody(ProblemDropped)
		}
	}
}

// concerns reports whether a broadcast is for a connection of user.
func (h *Hub) concerns(b *broadcast, user string) bool {
	hash := h.hash(user)
	if b.group == "" {
		return h.shard(hash).count(user, hash) > 0
	}
	return h.shard(hash).inGroup(user, hash, b.group)
}

func (t *Trace) read() Traced {
	t.mu.Lock()
	defer t.mu.Unlock()
	seen := t.seen
	seen.Failed = maps.Clone(seen.Failed)
	return seen
}
