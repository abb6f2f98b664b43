package netpoll

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"roost/netpoll/internal/sendqueue"
	"roost/wsproto"
)

// flushSize is how many bytes wait for a connection before they are written in the middle of a batch: more would take
// another system call anyway.
const flushSize = scratchSize

// outQueue is the send queue of a connection, with what its client has to be told of losses. A connection has one only
// while something waits to be written.
type outQueue struct {
	sendqueue.Queue
	gapState
	watched bool // epoll reports when the kernel takes bytes again
	stream  bool // of an event stream
}

// pooledQueues bounds the empty send queues that a loop keeps for reuse.
const pooledQueues = 256

// getQueue gives the connection a send queue.
func (c *conn) getQueue() {
	l := c.loop
	if last := len(l.queues) - 1; last >= 0 {
		c.out, l.queues = l.queues[last], l.queues[:last]
	} else {
		c.out = new(outQueue)
	}
	c.out.FD, c.out.stream = c.fd, c.stream
	if !c.selfCheck {
		c.out.Tracker = l.sent
	}
}

// putQueue takes the send queue back. No notification waits in it.
func (c *conn) putQueue() {
	l := c.loop
	if c.out.watched {
		c.out.watched = false
		l.stats.stalled.Add(-1)
		_ = l.poll.watchWriting(c.fd, false) // fails only for a socket that is about to be closed
	}
	if c.out.Ranked() {
		l.ranking.Remove(&c.out.Queue)
		l.publishRank()
	}
	if len(l.queues) < pooledQueues {
		c.out.Reset() // it keeps some memory for the next connection
		c.out.gapState = gapState{}
		l.queues = append(l.queues, c.out)
	}
	c.out = nil
}

// cleanupQueue counts what waits as failed, and takes the send queue back.
func (c *conn) cleanupQueue() {
	if c.out != nil {
		c.countFailed(failedClosed, c.out.DropAll(failureNames[failedClosed]))
		c.putQueue()
	}
}

// flush writes what waits for a connection, until the kernel has all of it or takes no more. It may end the connection.
func (c *conn) flush() {
	defer c.guard()
	if c.stalled() {
		c.dropExpired()
	}
	for c.state != stateClosed && c.out != nil {
		if c.out.Empty() {
			if c.out.lostSince.IsZero() || c.state != stateOpen {
				c.flushed()
				return
			}
			c.out.queueLossNotice(c.loop)
		}
		if c.out.Sealed() != nil || c.secure() {
			if c.flushSealed() {
				return
			}
			continue
		}
		buf := c.out.Gather(c.loop.scratch)
		n, err := c.write(buf)
		if n > 0 {
			c.out.Progress.Resume()
			c.countSent(n)
		}
		switch {
		case err == nil && n == len(buf):
		case err == nil || errors.Is(err, unix.EAGAIN):
			c.stall()
			return
		default:
			c.closeNow(ReasonWriteError)
			return
		}
	}
}

// flushed gives the send queue back once the kernel has all of it. A closing connection begins to linger; of one that lingers
// it was the close_notify. A client that has taken a queue that waited for long counts as alive: the ping may be among what it
// still has to read.
func (c *conn) flushed() {
	if c.out.Progress.Behind() {
		if now := c.loop.server.now(); c.out.Progress.Slow(now) {
			c.lastRead = instantOf(now)
		}
	}
	c.putQueue()
	switch c.state {
	case stateClosing:
		c.extra.linger()
	case stateLingering:
		c.extra.shutdownWrite()
	}
}

// stall notes that the kernel takes no more for the connection, and has epoll report when it does again. From now on what
// waits counts in the memory of all send queues.
func (c *conn) stall() {
	l := c.loop
	q := c.out
	if !q.Counted() && !c.selfCheck {
		q.CountIn(&l.server.queues)
	}
	l.rank(q)
	if !c.stalled() {
		now := l.server.now()
		q.Progress.Stall(now, unackedBytes(c.fd))
		c.resetTimer(now)
	}
	if q.watched {
		return
	}
	q.watched = true
	l.stats.stalled.Add(1)
	if err := l.poll.watchWriting(c.fd, true); err != nil {
		l.server.log.Error("a stalled connection can't be watched; it is closed", "error", err, "user_id", c.link.User())
		c.closeNow(ReasonWriteError)
	}
}

// pollAcked looks whether a client that the kernel takes nothing for has acknowledged anything.
func (q *outQueue) pollAcked(now time.Duration) { q.Progress.Look(now, unackedBytes(q.FD)) }

// nextAckPoll returns when to ask the kernel next what a stalled client has acknowledged.
func (q *outQueue) nextAckPoll(writeWait time.Duration) time.Duration {
	return q.Progress.LookAt(writeWait)
}

// timedOut reports whether a stalled client has taken nothing for writeWait. It asks the kernel when that is due.
func (q *outQueue) timedOut(now, writeWait time.Duration) bool {
	if now >= q.nextAckPoll(writeWait) {
		q.pollAcked(now)
	}
	return q.Progress.Idle(now) >= writeWait
}

// unackedBytes returns how many of the bytes that the kernel has taken the client has not acknowledged. The end of the
// stream, once sent, counts as one byte. It works for a connection that was reset, too.
func unackedBytes(fd int32) int {
	n, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
	if err != nil {
		return 0
	}
	return n
}

// write is the one function that writes to clients. It checks the state first: the descriptor number of a closed
// connection may be another client's by now.
func (c *conn) write(b []byte) (int, error) {
	if c.state == stateClosed {
		return 0, unix.EBADF
	}
	for {
		n, err := unix.Write(int(c.fd), b)
		c.loop.stats.Writes.Add(1)
		if n > 0 {
			c.written += uint32(n)
			c.loop.stats.BytesOut.Add(int64(n))
		}
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

// send writes b to a connection that has no send queue. Bytes that the kernel does not take are copied into one.
func (c *conn) send(b []byte) {
	if c.secure() {
		sealed, err := c.seal(b)
		if err != nil {
			c.closeNow(ReasonWriteError)
			return
		}
		c.sendSealed(sealed)
		return
	}
	n, err := c.write(b)
	switch {
	case err != nil && !errors.Is(err, unix.EAGAIN):
		c.closeNow(ReasonWriteError)
	case n < len(b):
		c.getQueue()
		c.out.Begin(b[n:])
		c.stall()
	}
}

// sendOnce writes b to a connection that is about to be closed: what the kernel does not take at once is lost.
func (c *conn) sendOnce(b []byte) {
	if c.out != nil && c.out.Sealed() != nil {
		return // it would land in the middle of a record
	}
	if sealed, err := c.seal(b); err == nil {
		_, _ = c.write(sealed)
	}
}

// sendPong answers a ping. If something waits it replaces an earlier pong that waits too (RFC 6455 section 5.5.3), so
// that a flood of pings costs no memory.
func (c *conn) sendPong(payload []byte) {
	if c.out != nil {
		c.out.Pong = wsproto.AppendPong(c.out.Pong[:0], payload)
		return
	}
	c.send(wsproto.AppendPong(c.loop.scratch[:0], payload))
}

// sendTextPong answers a ping in text. If something waits, one answer waits for all such pings that come meanwhile.
func (c *conn) sendTextPong() {
	answer := wsproto.TextPong()
	if c.loop.server.resumes && (c.out == nil || c.out.TextPong == nil) {
		p, ok := c.position()
		switch {
		case c.state != stateOpen: // what was delivered meanwhile has ended it
			return
		case ok && c.out == nil:
			answer = appendPositionPong(c.loop.scratch[:0], p)
		case ok:
			answer = appendPositionPong(nil, p)
		}
	}
	switch {
	case c.out == nil:
		c.send(answer)
	case c.out.TextPong == nil:
		c.out.TextPong = answer
	default:
		return
	}
	c.loop.stats.TextPongs.Add(1)
}

// A notification counts as sent when the kernel has taken it. Whether it has arrived is known only from the client's
// kernel, which acknowledges bytes. So when a connection ends, the deliveries that were not acknowledged are counted:
// these deliveries stay counted as sent, but most of them never arrived.

// unacked is what the kernel had taken and the client had not acknowledged.
type unacked struct {
	bytes      int
	deliveries int  // notifications whose last byte is one of bytes
	all        bool // there are no more: the loop's log goes back far enough to know
}

// countUnacked counts it for a connection that has been open and is about to be closed. It costs a system call.
func (c *conn) countUnacked() unacked {
	l := c.loop
	closing := c.extra != nil && c.extra.wasOpen
	if c.selfCheck || c.state != stateOpen && !closing {
		return unacked{}
	}
	left := unacked{bytes: unackedBytes(c.fd)}
	notify, fin := 0, 0 // c.written has the close_notify, and not the end of the stream
	if c.state == stateLingering {
		notify = int(c.extra.notifyBytes)
		if c.extra.ended {
			fin = min(left.bytes, 1)
		}
	}
	left.deliveries, left.all = l.sent.Close(c.fd, c.written-uint32(left.bytes-fin))
	left.bytes = max(0, left.bytes-notify-fin)
	if left.bytes > 0 {
		l.stats.unackedBytes[c.reason].Add(uint64(left.bytes))
		l.stats.unacked[c.reason].Add(uint64(left.deliveries))
	}
	if closing && left.deliveries > 0 {
		l.server.lines.unacknowledged(c, left)
	}
	return left
}
