package netpoll

import (
	"time"

	"roost/hub"
	"roost/netpoll/internal/sentlog"
)

// outQueue is what waits to be written to one connection. An idle connection
// has none: it gets one from its loop when there is something to write, and the
// loop puts it back into its pool when all of it is written. It does no I/O, and
// belongs to the loop.
//
// Bytes leave in this order: the rest of what the kernel took a part of (after
// a partial frame nothing may come but its rest), the latest unanswered pong, the
// answer to a ping in text, a ping, the notice of a loss, the notifications, and the
// last words (a close frame).
type outQueue struct {
	partial      []byte            // never empty: nil or what is left
	partialOf    *hub.Notification // what partial is the rest of; nil for control bytes
	pong         []byte            // RFC 6455 section 5.5.3: the latest is enough
	textPong     []byte            // nil, or the shared answer to a ping in text
	ping         []byte            // nil, or the shared ping
	notice       []byte            // nil, or that notifications were lost: a frame for each reason
	frames       []*hub.Notification
	head         int // frames before it have left
	closeMessage []byte

	untold gaps // what notice tells of
	bytes  int  // of the notifications that wait, the partial one's rest included

	lostSince time.Time     // the first loss that no notice tells of; zero: none
	lostSlow  bool          // the client was slow when it lost something since
	told      time.Duration // the last notice, in time since the server started; 0: none

	progress progress
	memory   *queueMemory // where what waits is counted; nil until the kernel takes no more
	place    place        // in the loop's ranking, while memory is set

	tracker *sentlog.Log // told of each notification that has left; may be nil
}

// empty reports whether nothing waits.
func (q *outQueue) empty() bool {
	return q.partial == nil && !q.hasControl() && q.head == len(q.frames) && q.closeMessage == nil
}

func (q *outQueue) hasControl() bool {
	return len(q.pong) > 0 || q.textPong != nil || q.ping != nil || q.notice != nil
}

// notifications returns how many wait, one that has partly left included.
func (q *outQueue) notifications() int {
	n := len(q.frames) - q.head
	if q.partialOf != nil {
		n++
	}
	return n
}

// cost is the memory of what waits, as if nobody shared it.
func (q *outQueue) cost() int {
	cost := q.bytes + q.notifications()*(notificationCost+placeCost)
	if q.partialOf != nil {
		cost += len(q.partialOf.Frame) - len(q.partial) // its frame stays whole
	}
	return cost
}

// push appends a notification.
func (q *outQueue) push(n *hub.Notification) {
	if q.head > 0 && len(q.frames) == cap(q.frames) {
		moved := copy(q.frames, q.frames[q.head:])
		clear(q.frames[moved:])
		q.frames, q.head = q.frames[:moved], 0
	}
	q.frames = append(q.frames, n)
	q.bytes += len(n.Frame)
	if q.memory != nil {
		q.memory.hold(n)
	}
}

// dropNewest takes the notification back that was pushed last; nil if none waits
// whole.
func (q *outQueue) dropNewest() *hub.Notification {
	last := len(q.frames) - 1
	if last < q.head {
		return nil
	}
	n := q.frames[last]
	q.frames[last], q.frames = nil, q.frames[:last]
	q.bytes -= len(n.Frame)
	q.let(n)
	return n
}

// dropWaiting forgets everything but the partial piece and the last words, because the connection
// ends, and returns how many notifications that were.
func (q *outQueue) dropWaiting() (dropped int) {
	for n := q.dropNewest(); n != nil; n = q.dropNewest() {
		n.Trace.Failed(failureNames[failedClosed])
		dropped++
	}
	q.pong, q.textPong, q.ping, q.notice = q.pong[:0], nil, nil, nil
	q.untold = gaps{}
	return dropped
}

// dropAll forgets everything, and returns how many notifications that were.
func (q *outQueue) dropAll() (dropped int) {
	dropped = q.dropWaiting()
	if n := q.partialOf; n != nil {
		n.Trace.Failed(failureNames[failedClosed])
		q.let(n)
		dropped++
	}
	q.partial, q.partialOf, q.closeMessage, q.bytes = nil, nil, nil, 0
	return dropped
}

// count has what waits, now and from now on, counted in memory.
func (q *outQueue) count(in *queueMemory) {
	q.memory = in
	if q.partialOf != nil {
		in.hold(q.partialOf)
	}
	for _, n := range q.frames[q.head:] {
		in.hold(n)
	}
}

// let ends the counting of a notification that does not wait any more.
func (q *outQueue) let(n *hub.Notification) {
	if q.memory != nil {
		q.memory.release(n)
	}
}

// gather returns the bytes that leave next: as many whole pieces as fit into
// scratch, or the first one itself where a copy is not needed or not possible.
func (q *outQueue) gather(scratch []byte) []byte {
	if q.onlyOneFrame() {
		return q.frames[q.head].Frame
	}
	buf := scratch[:0]
	for _, piece := range [5][]byte{q.partial, q.pong, q.textPong, q.ping, q.notice} {
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
	if len(q.closeMessage) <= cap(buf)-len(buf) {
		buf = append(buf, q.closeMessage...)
	}
	return buf
}

func (q *outQueue) onlyOneFrame() bool {
	return q.partial == nil && !q.hasControl() && len(q.frames)-q.head == 1 && q.closeMessage == nil
}

// took notes that the kernel took the first n bytes of what gather returned,
// and returns how many notifications have left with their last byte.
func (q *outQueue) took(n int) (sent int) {
	n, done := q.tookPartial(n)
	if done {
		sent++
	}
	if n > 0 && len(q.pong) > 0 {
		n = q.tookControl(n, q.pong)
		q.pong = q.pong[:0]
	}
	if n > 0 && q.textPong != nil {
		n = q.tookControl(n, q.textPong)
		q.textPong = nil
	}
	if n > 0 && q.ping != nil {
		n = q.tookControl(n, q.ping)
		q.ping = nil
	}
	if n > 0 && q.notice != nil {
		n = q.tookControl(n, q.notice)
		q.notice, q.untold = nil, gaps{}
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
		q.closeMessage = rest(q.closeMessage, n)
	}
	return sent
}

// left notes that the kernel took the last byte of a notification, and then behind
// more bytes.
func (q *outQueue) left(n *hub.Notification, behind int) {
	n.Trace.Sent()
	q.let(n)
	q.tracker.Note(n, behind)
}

// tookControl lets a control frame go, and returns what is left of n. One on its
// way can't be replaced by a later one any more: its rest becomes the partial
// piece.
func (q *outQueue) tookControl(n int, frame []byte) (left int) {
	if n < len(frame) {
		q.partial = append([]byte(nil), frame[n:]...)
		return 0
	}
	return n - len(frame)
}

// tookPartial lets the partial piece go first. It returns what is left of n,
// and whether a notification's last byte has left.
func (q *outQueue) tookPartial(n int) (left int, done bool) {
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

// keptFrames bounds the memory that a queue keeps when a loop takes it back:
// after a burst the buffers must go.
const keptFrames = 32

// reset empties the queue for its next borrower.
func (q *outQueue) reset() {
	frames, pong := q.frames, q.pong
	if cap(frames) > keptFrames {
		frames = nil
	}
	clear(frames[:cap(frames)])
	*q = outQueue{frames: frames[:0], pong: pong[:0]}
}
