// Package sendqueue is what waits to be written to connections: a queue for each that
// has something waiting, the memory of all of them together, how clients take what is
// written to them, and which queue is the fullest. It does no I/O and has no clock.
package sendqueue

import (
	"bytes"
	"time"

	"roost/hub"
	"roost/netpoll/internal/sentlog"
)

// Queue is what waits to be written to one connection. It belongs to the connection's
// loop. An idle connection has none. The zero value is empty.
//
// Bytes leave in this order: what is sealed, the rest of what the kernel took a part of (after
// a partial frame nothing may come but its rest), the latest unanswered pong, the
// answer to a ping in text, that to a token, a ping, the notice of a loss, the notifications, and the
// close message.
type Queue struct {
	FD int32 // of the connection; static while it has the queue

	Pong         []byte // RFC 6455 section 5.5.3: the latest is enough
	TextPong     []byte // nil, or the shared answer to a ping in text
	Answer       []byte // nil, or the answer to the latest token that the client sent
	Ping         []byte // nil, or the shared ping
	Notice       []byte // nil, or that notifications were lost: a frame for each reason
	CloseMessage []byte // nil, or what ends the connection: a close frame or an HTTP answer

	Progress Progress

	Tracker *sentlog.Log // told of each notification that has left; may be nil

	partial   []byte            // never empty: nil or what is left
	partialOf *hub.Notification // what partial is the rest of; nil for control bytes
	frames    []*hub.Notification
	head      int // frames before it have left
	bytes     int // of the notifications that wait, the partial one's rest included
	held      int // bytes of memory that their frames take, see frameMemory

	sealed sealed

	expires bool // something was pushed that may not wait for as long as it has to

	memory *Memory // where what waits is counted; nil until the kernel takes no more
	place  place   // in a ranking
}

// Begin makes rest, which is copied, what leaves first: the kernel took a part of
// control bytes for which no queue was needed. The queue must be empty.
func (q *Queue) Begin(rest []byte) { q.partial = bytes.Clone(rest) }

// Empty reports whether nothing waits.
func (q *Queue) Empty() bool {
	return q.sealed.rest == nil && q.partial == nil && !q.hasControl() && q.head == len(q.frames) && q.CloseMessage == nil
}

func (q *Queue) hasControl() bool {
	return len(q.Pong) > 0 || q.TextPong != nil || q.Answer != nil || q.Ping != nil || q.Notice != nil
}

// Len returns how many notifications wait, one that has partly left included.
func (q *Queue) Len() int {
	n := len(q.frames) - q.head + len(q.sealed.of)
	if q.partialOf != nil {
		n++
	}
	return n
}

// First returns the notification that leaves first of those of which nothing has left; nil if there is none.
func (q *Queue) First() *hub.Notification {
	if q.head == len(q.frames) {
		return nil
	}
	return q.frames[q.head]
}

// Bytes returns how many bytes of notifications wait, sealed ones included.
func (q *Queue) Bytes() int { return q.bytes + q.sealed.bytes }

// ControlBytes returns how many other bytes a client can make wait.
func (q *Queue) ControlBytes() int {
	n := len(q.Pong) + len(q.TextPong) + len(q.Answer)
	if q.partialOf == nil {
		n += len(q.partial)
	}
	return n
}

// Counted reports whether what waits is counted in a memory.
func (q *Queue) Counted() bool { return q.memory != nil }

// Cost is the memory of what waits, as if nobody shared it.
func (q *Queue) Cost() int {
	return q.held + len(q.sealed.rest) + q.Len()*(NotificationCost+PlaceCost)
}

// Push appends a notification.
func (q *Queue) Push(n *hub.Notification) {
	if q.head > 0 && len(q.frames) == cap(q.frames) {
		moved := copy(q.frames, q.frames[q.head:])
		clear(q.frames[moved:])
		q.frames, q.head = q.frames[:moved], 0
	}
	q.frames = append(q.frames, n)
	q.bytes += len(n.Frame)
	q.held += frameMemory(n)
	if w := n.Waiting(); w != nil && w.Until != 0 {
		q.expires = true
	}
	if q.memory != nil {
		q.memory.hold(n)
	}
}

// DropNewest takes the notification back that was pushed last; nil if none waits
// whole.
func (q *Queue) DropNewest() *hub.Notification {
	last := len(q.frames) - 1
	if last < q.head {
		return nil
	}
	n := q.frames[last]
	q.frames[last], q.frames = nil, q.frames[:last]
	q.bytes -= len(n.Frame)
	q.uncount(n)
	return n
}

// Expires reports whether there may be a notification that waits for a limited time. It costs nothing.
func (q *Queue) Expires() bool { return q.expires }

// DropWhere takes the notifications back that wait whole and for which which is true, and returns them. The others keep their
// order.
func (q *Queue) DropWhere(which func(*hub.Notification) bool) (dropped []*hub.Notification) {
	kept := q.frames[:q.head]
	for _, n := range q.frames[q.head:] {
		if !which(n) {
			kept = append(kept, n)
			continue
		}
		dropped = append(dropped, n)
		q.bytes -= len(n.Frame)
		q.uncount(n)
	}
	clear(q.frames[len(kept):])
	q.frames = kept
	return dropped
}

// DropWaiting drops everything but what is sealed, the partial piece and the close message, because the
// connection ends, and returns how many notifications it dropped. why is what their traces say.
func (q *Queue) DropWaiting(why string) (dropped int) {
	for n := q.DropNewest(); n != nil; n = q.DropNewest() {
		n.Trace.Failed(why)
		dropped++
	}
	q.Pong, q.TextPong, q.Answer, q.Ping, q.Notice = q.Pong[:0], nil, nil, nil, nil
	return dropped
}

// DropAll drops everything, and returns how many notifications it dropped. why is what
// their traces say.
func (q *Queue) DropAll(why string) (dropped int) {
	dropped = q.DropWaiting(why) + q.dropSealed(why)
	if n := q.partialOf; n != nil {
		n.Trace.Failed(why)
		q.uncount(n)
		dropped++
	}
	q.partial, q.partialOf, q.CloseMessage, q.bytes = nil, nil, nil, 0
	return dropped
}

// Full reports whether there is no room for n: more than maxBytes would wait, or
// maxMessages wait already for a client that takes nothing.
func (q *Queue) Full(n *hub.Notification, maxBytes, maxMessages int, now time.Duration) bool {
	if q.Cost()+frameMemory(n)+NotificationCost+PlaceCost > maxBytes {
		return true
	}
	return q.Len() >= maxMessages && q.Progress.Idle(now) >= SlowAfter
}

// Greedier reports whether q pays before other. Those pay first who have taken nothing
// for a while: a client that takes a burst as fast as it can has a full queue too, for
// a moment.
func (q *Queue) Greedier(other *Queue, now time.Duration) bool {
	if idle := q.Idle(now); idle != other.Idle(now) {
		return idle
	}
	return q.Cost() > other.Cost()
}

// Idle reports whether the client has taken nothing for long enough to be called slow.
func (q *Queue) Idle(now time.Duration) bool { return q.Progress.Idle(now) >= SlowAfter }

// CountIn has what waits, now and from now on, counted in memory.
func (q *Queue) CountIn(in *Memory) {
	q.memory = in
	if q.partialOf != nil {
		in.hold(q.partialOf)
	}
	for _, n := range q.sealed.of {
		in.hold(n)
	}
	in.bytes.Add(int64(len(q.sealed.rest)))
	for _, n := range q.frames[q.head:] {
		in.hold(n)
	}
}

// uncount ends the counting of a notification that does not wait any more.
func (q *Queue) uncount(n *hub.Notification) {
	q.held -= frameMemory(n)
	if q.memory != nil {
		q.memory.release(n)
	}
}

// Gather returns the bytes that leave next: as many whole pieces as fit into
// scratch, or the first one itself where a copy is not needed or not possible.
func (q *Queue) Gather(scratch []byte) []byte {
	if q.onlyOneFrame() {
		return q.frames[q.head].Frame
	}
	buf := scratch[:0]
	for _, piece := range [6][]byte{q.partial, q.Pong, q.TextPong, q.Answer, q.Ping, q.Notice} {
		if len(buf) == 0 && len(piece) > cap(buf) {
			return piece
		}
		if len(piece) > cap(buf)-len(buf) {
			return buf
		}
		buf = append(buf, piece...)
	}
	for _, n := range q.frames[q.head:] {
		if len(buf) == 0 && len(n.Frame) > cap(buf) {
			return n.Frame
		}
		if len(n.Frame) > cap(buf)-len(buf) {
			return buf
		}
		buf = append(buf, n.Frame...)
	}
	if len(q.CloseMessage) <= cap(buf)-len(buf) {
		buf = append(buf, q.CloseMessage...)
	}
	return buf
}

func (q *Queue) onlyOneFrame() bool {
	return q.sealed.rest == nil && q.partial == nil && !q.hasControl() && len(q.frames)-q.head == 1 && q.CloseMessage == nil
}

// Took notes that the kernel took the first n bytes of what Gather returned,
// and returns how many notifications have left with their last byte.
func (q *Queue) Took(n int) (sent int) {
	n, done := q.tookPartial(n)
	if done {
		sent++
	}
	if n > 0 && len(q.Pong) > 0 {
		n = q.tookControl(n, q.Pong)
		q.Pong = q.Pong[:0]
	}
	if n > 0 && q.TextPong != nil {
		n = q.tookControl(n, q.TextPong)
		q.TextPong = nil
	}
	if n > 0 && q.Answer != nil {
		n = q.tookControl(n, q.Answer)
		q.Answer = nil
	}
	if n > 0 && q.Ping != nil {
		n = q.tookControl(n, q.Ping)
		q.Ping = nil
	}
	if n > 0 && q.Notice != nil {
		n = q.tookControl(n, q.Notice)
		q.Notice = nil
	}
	for n > 0 && q.head < len(q.frames) {
		frame := q.frames[q.head]
		q.frames[q.head] = nil
		q.head++
		if n < len(frame.Frame) {
			q.partial, q.partialOf = frame.Frame[n:], frame
			q.bytes -= n
			return sent
		}
		n -= len(frame.Frame)
		q.bytes -= len(frame.Frame)
		q.left(frame, n)
		sent++
	}
	if n > 0 {
		q.CloseMessage = rest(q.CloseMessage, n)
	}
	return sent
}

// left notes that the kernel took the last byte of a notification, and then behind
// more bytes.
func (q *Queue) left(n *hub.Notification, behind int) {
	if q.sealed.sealing {
		q.sealed.of = append(q.sealed.of, n)
		return
	}
	if q.sealed.whole {
		behind = 0
	}
	n.Trace.Sent()
	q.uncount(n)
	q.Tracker.Note(n, behind)
}

// tookControl lets a control frame go, and returns what is left of n. One on its
// way can't be replaced by a later one any more: its rest becomes the partial
// piece.
func (q *Queue) tookControl(n int, frame []byte) (left int) {
	if n < len(frame) {
		q.partial = append([]byte(nil), frame[n:]...)
		return 0
	}
	return n - len(frame)
}

// tookPartial lets the partial piece go first. It returns what is left of n,
// and whether a notification's last byte has left.
func (q *Queue) tookPartial(n int) (left int, done bool) {
	if q.partial == nil {
		return n, false
	}
	gone := min(n, len(q.partial))
	if q.partialOf != nil {
		q.bytes -= gone
	}
	q.partial = rest(q.partial, gone)
	if q.partial == nil && q.partialOf != nil {
		q.left(q.partialOf, n-gone)
		q.partialOf, done = nil, true
	}
	return n - gone, done
}

// rest returns b without its first n bytes, nil if none are left.
func rest(b []byte, n int) []byte {
	if n >= len(b) {
		return nil
	}
	return b[n:]
}

// keptFrames bounds the room for frames that Reset keeps: after a burst the buffers must go.
const keptFrames = 32

// Reset empties the queue for the next connection.
func (q *Queue) Reset() {
	frames, pong := q.frames, q.Pong
	if cap(frames) > keptFrames {
		frames = nil
	}
	clear(frames[:cap(frames)])
	*q = Queue{frames: frames[:0], Pong: pong[:0]}
}
