package sendqueue

import (
	"errors"
	"math"
	"time"

	"roost/hub"
	"roost/internal/wirecodec"
)

// A process that hands a connection over writes down its queue, for the one that goes on writing exactly where the kernel stands.

// maxPiece bounds, in bytes, each piece of a state that is no notification: control frames, notices, what is sealed.
const maxPiece = 1 << 20

// The kinds of a partial piece in a state.
const (
	partialNone uint64 = iota
	partialControl
	partialNotification
)

// Each calls fn for each notification that waits, in the order in which they leave.
func (q *Queue) Each(fn func(*hub.Notification)) {
	for _, n := range q.sealed.of {
		fn(n)
	}
	if q.partialOf != nil {
		fn(q.partialOf)
	}
	for _, n := range q.frames[q.head:] {
		fn(n)
	}
}

// AppendState appends all that waits but Answer and the close message. number tells a notification's number, by which ReadState asks for it.
func (q *Queue) AppendState(dst []byte, number func(*hub.Notification) uint64) []byte {
	for _, piece := range [...][]byte{q.Pong, q.TextPong, q.Ping, q.Notice, q.sealed.rest} {
		dst = wirecodec.AppendBytes(dst, piece)
	}
	dst = q.Progress.appendState(dst)
	switch {
	case q.partial == nil:
		dst = wirecodec.AppendUint(dst, partialNone)
	case q.partialOf == nil:
		dst = wirecodec.AppendBytes(wirecodec.AppendUint(dst, partialControl), q.partial)
	default:
		dst = wirecodec.AppendUint(dst, partialNotification)
		dst = wirecodec.AppendUint(dst, number(q.partialOf))
		dst = wirecodec.AppendUint(dst, uint64(len(q.partial)))
	}
	dst = wirecodec.AppendUint(dst, uint64(q.sealed.bytes))
	for _, list := range [...][]*hub.Notification{q.sealed.of, q.frames[q.head:]} {
		dst = wirecodec.AppendUint(dst, uint64(len(list)))
		for _, n := range list {
			dst = wirecodec.AppendUint(dst, number(n))
		}
	}
	return dst
}

// errPartial is wrapped by the error of a partial piece that is not the rest of its notification.
var errPartial = errors.New("a partial frame is longer than its notification")

// ReadState reads what AppendState wrote into an empty queue. notification returns the one of a number, nil if there is none. Errors are the
// reader's; then the queue is to be thrown away.
func (q *Queue) ReadState(r *wirecodec.Reader, notification func(uint64) *hub.Notification) {
	for _, piece := range [...]*[]byte{&q.Pong, &q.TextPong, &q.Ping, &q.Notice, &q.sealed.rest} {
		if b := r.Bytes(maxPiece); len(b) > 0 {
			*piece = append([]byte(nil), b...)
		}
	}
	q.Progress.readState(r)
	one := func() *hub.Notification {
		n := notification(r.Uint(math.MaxUint32))
		if n == nil && r.Err() == nil {
			_ = r.Fail(errors.New("there is no notification of this number"))
		}
		return n
	}
	switch r.Uint(partialNotification) {
	case partialControl:
		q.partial = append([]byte(nil), r.Bytes(maxPiece)...)
		if len(q.partial) == 0 {
			_ = r.Fail(errPartial)
		}
	case partialNotification:
		n, left := one(), int(r.Uint(math.MaxInt32))
		switch {
		case r.Err() != nil:
			return
		case left == 0 || left > len(n.Frame):
			_ = r.Fail(errPartial)
			return
		}
		q.partial, q.partialOf = n.Frame[len(n.Frame)-left:], n
		q.bytes += left
		q.held += frameMemory(n)
	}
	q.sealed.bytes = int(r.Uint(maxPiece))
	for range r.Count(1) {
		if n := one(); r.Err() == nil {
			q.sealed.of = append(q.sealed.of, n)
			q.held += frameMemory(n)
		}
	}
	for range r.Count(1) {
		if n := one(); r.Err() == nil {
			q.Push(n)
		}
	}
	if len(q.sealed.of) > 0 && q.sealed.rest == nil {
		_ = r.Fail(errors.New("notifications are sealed in nothing"))
	}
}

// Abandon forgets everything, because another process goes on with it, and returns how many notifications that are.
func (q *Queue) Abandon() (abandoned int) {
	abandoned = q.Len()
	if q.memory != nil {
		q.Each(q.memory.release)
		q.memory.bytes.Add(-int64(len(q.sealed.rest)))
	}
	q.frames, q.head, q.bytes, q.held = nil, 0, 0, 0
	q.partial, q.partialOf, q.sealed = nil, nil, sealed{}
	q.Pong, q.TextPong, q.Answer, q.Ping, q.Notice, q.CloseMessage = nil, nil, nil, nil, nil, nil
	return abandoned
}

func (p *Progress) appendState(dst []byte) []byte {
	for _, at := range [...]time.Duration{p.behind, p.stalled, p.taken, p.looked} {
		dst = wirecodec.AppendUint(dst, uint64(at))
	}
	return wirecodec.AppendUint(dst, uint64(p.unacked))
}

func (p *Progress) readState(r *wirecodec.Reader) {
	for _, at := range [...]*time.Duration{&p.behind, &p.stalled, &p.taken, &p.looked} {
		*at = time.Duration(r.Uint(math.MaxInt64))
	}
	p.unacked = int(r.Uint(math.MaxInt32))
}
