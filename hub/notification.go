package hub

import (
	"time"

	"roost/internal/position"
	"roost/wsproto"
)

// Hold says that n waits in one more place, and reports whether Frame waited
// nowhere else before: then it is memory that was not there yet. Any goroutine.
func (n *Notification) Hold() (first bool) { return n.holder().held.Add(1) == 1 }

// Release says that n waits in one place less, after Hold, and reports whether
// Frame waits nowhere now. Any goroutine.
func (n *Notification) Release() (last bool) { return n.holder().held.Add(-1) == 0 }

// Held reports whether Frame waits anywhere. Any goroutine.
func (n *Notification) Held() bool { return n.holder().held.Load() > 0 }

func (n *Notification) holder() *Notification {
	if s := n.shared.Load(); s != nil {
		return s.first
	}
	return n
}

// Waiting says how a notification may wait in the send queue of a connection that takes nothing. It does not change.
type Waiting struct {
	// Until is a time by Hub.Clock, from when on the notification is dropped in place of waiting longer; 0: never.
	Until time.Duration
	// Collapse is the key with which a later notification takes its place in the queue; 0: none takes it.
	Collapse uint64
}

// Waiting says how n may wait, nil: for as long as it has to. Any goroutine.
func (n *Notification) Waiting() *Waiting {
	if s := n.shared.Load(); s != nil {
		return s.waiting
	}
	return nil
}

// SetWaiting says how n may wait. It is called before anybody else has n.
func (n *Notification) SetWaiting(w *Waiting) {
	if w != nil {
		n.shared.Store(&shared{first: n, waiting: w})
	}
}

// shared is the part that the notifications of one broadcast have in common, and the event that was made of a notification.
type shared struct {
	first   *Notification // whose held counts for all: they have the same Frame; static
	waiting *Waiting      // nil: they wait as long as they have to; static

	// The latest that EventStream returned, and of what. Owned by the goroutine that delivers.
	event, eventOf *Notification
}

// EventStream returns n for connections that get events in place of WebSocket frames. The event is built once, and only if
// there is such a connection. For the goroutine that delivers n, before it has delivered the next one of the same broadcast.
func (n *Notification) EventStream() *Notification {
	s := n.shared.Load()
	if s == nil {
		s = &shared{first: n}
		n.shared.Store(s) // others may read it: they have n already, and find that it is its own holder, as before
	}
	if s.eventOf == n {
		return s.event
	}
	event := &Notification{Arrived: n.Arrived, After: n.After, Trace: n.Trace}
	if earlier := s.event; earlier != nil {
		event.Frame = earlier.Frame
		event.shared.Store(&shared{first: earlier.holder(), waiting: s.waiting})
	} else {
		event.SetWaiting(s.waiting)
		event.Frame = wsproto.AppendEvents(make([]byte, 0, len(n.Frame)+eventOverhead), n.Frame)
	}
	s.event, s.eventOf = event, n
	return event
}

// position returns the place in the stream behind n, which its envelope, or event, has. ok is false where there is none.
func (n *Notification) position() (p position.Position, ok bool) {
	const before, behind = "id: ", `"}`
	frame := n.Frame
	switch end := len(frame) - len(behind); {
	case len(frame) >= len(before)+position.Size && string(frame[:len(before)]) == before:
		return position.Parse(string(frame[len(before) : len(before)+position.Size]))
	case end >= position.Size:
		return position.Parse(string(frame[end-position.Size : end]))
	}
	return position.Position{}, false
}

// eventOverhead is how many bytes the event of an envelope in one line has more than its frame, at most.
const eventOverhead = len("id: \ndata: \n\n") + position.MaxSize
