package netpoll

import (
	"bytes"
	"errors"

	"golang.org/x/sys/unix"

	"roost/hub"
	"roost/wsproto"
)

// deliver takes one item of the mailbox.
func (l *loop) deliver(item delivery) {
	defer l.guard(item.c)
	if item.c.state != stateOpen {
		l.failOne(item.c, item.n, failedClosed)
		return
	}
	l.enqueue(item.c, item.n)
}

// enqueue puts a notification into the connection's write queue, or drops it
// where that is full.
func (l *loop) enqueue(c *conn, n *hub.Notification) {
	if c.out != nil && c.out.stalled == 0 {
		if _, full := l.full(c.out, n); full {
			// Full of what came in this batch: the kernel may well take all of it.
			l.flush(c)
		}
		if c.state != stateOpen {
			l.failOne(c, n, failedClosed)
			return
		}
	}
	if c.out == nil {
		l.borrowQueue(c)
		l.dirty = append(l.dirty, c)
	}
	if why, full := l.full(c.out, n); full {
		l.failOne(c, n, why)
		l.slowConsumer(c, n, why)
		return
	}
	c.out.push(n)
	l.queued(c, 1, len(n.Frame))
}

// full reports whether q has no room for n, and what is full. One notification
// always has room.
func (l *loop) full(q *outQueue, n *hub.Notification) (why failure, full bool) {
	waiting := q.notifications()
	if waiting == 0 {
		return 0, false
	}
	cfg := &l.server.cfg
	if waiting >= cfg.QueueMessages || q.bytes+len(n.Frame) > cfg.QueueBytes {
		return failedFull, true
	}
	if share := l.server.rules.Load().queueShare; share > 0 && int(l.stats.queuedBytes.Load())+len(n.Frame) > share {
		return failedMemory, true
	}
	return 0, false
}

// flushDirty writes to each connection that got something since the last time.
func (l *loop) flushDirty() {
	for i, c := range l.dirty {
		l.dirty[i] = nil
		if c.stalledSince() == 0 {
			l.flush(c)
		}
	}
	l.dirty = l.dirty[:0]
	if cap(l.dirty) > drainBatch {
		l.dirty = nil
	}
}

// flush writes what waits for a connection until all of it is with the kernel
// or the kernel takes no more. It may end the connection.
func (l *loop) flush(c *conn) {
	defer l.guard(c)
	for c.state != stateClosed && c.out != nil {
		if c.out.empty() && !l.tellLoss(c) {
			l.flushed(c)
			return
		}
		buf := c.out.gather(l.scratch)
		n, err := l.write(c, buf)
		if n > 0 {
			l.account(c, n)
			c.out.stalled = 0
		}
		switch {
		case err == nil && n == len(buf):
		case err == nil || errors.Is(err, unix.EAGAIN):
			l.stall(c)
			return
		default:
			l.drop(c, ReasonWriteError)
			return
		}
	}
}

// flushed gives the queue back and, if these were the last words, shuts the
// sending side.
func (l *loop) flushed(c *conn) {
	l.returnQueue(c)
	if c.state == stateClosing {
		l.linger(c)
	}
}

// stall has the loop told when the kernel takes bytes for c again.
func (l *loop) stall(c *conn) {
	if c.out.stalled == 0 {
		c.out.stalled = l.server.now()
		l.schedule(c, c.out.stalled)
	}
	if c.watched {
		return
	}
	c.watched = true
	l.stats.stalled.Add(1)
	if err := l.poll.watchWriting(c.fd, true); err != nil {
		l.server.log.Error("a stalled connection can't be watched; it is closed", "error", err, "user_id", c.link.User())
		l.drop(c, ReasonWriteError)
	}
}

// unwatch ends what stall began.
func (l *loop) unwatch(c *conn) {
	if c.watched {
		c.watched = false
		l.stats.stalled.Add(-1)
		_ = l.poll.watchWriting(c.fd, false) // fails only for one that is about to be closed
	}
}

// write is the one place where bytes leave: a closed connection's descriptor
// number may already be another client's.
func (l *loop) write(c *conn, b []byte) (int, error) {
	if c.state == stateClosed {
		return 0, unix.EBADF
	}
	for {
		n, err := unix.Write(int(c.fd), b)
		l.stats.writes.Add(1)
		if n > 0 {
			l.stats.bytesOut.Add(uint64(n))
		}
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

// sendNow writes b to a connection for which nothing waits. What the kernel does
// not take is copied and waits in a queue.
func (l *loop) sendNow(c *conn, b []byte) {
	n, err := l.write(c, b)
	switch {
	case err != nil && !errors.Is(err, unix.EAGAIN):
		l.drop(c, ReasonWriteError)
	case n < len(b):
		l.borrowQueue(c)
		c.out.partial = bytes.Clone(b[n:])
		l.stall(c)
	}
}

// sendPong answers a ping. Where it can't leave at once it takes the place of
// an earlier one that could not either (RFC 6455 section 5.5.3), so that a flood
// of pings costs no memory.
func (l *loop) sendPong(c *conn, payload []byte) {
	if c.out != nil {
		c.out.pong = wsproto.AppendPong(c.out.pong[:0], payload)
		return
	}
	l.sendNow(c, wsproto.AppendPong(l.scratch[:0], payload))
}

// sendTextPong answers a ping in text. Where it can't leave at once one answer
// waits for all that are asked for meanwhile, so that they cost no memory either.
func (l *loop) sendTextPong(c *conn) {
	switch {
	case c.out == nil:
		l.sendNow(c, wsproto.TextPong())
	case c.out.textPong == nil:
		c.out.textPong = wsproto.TextPong()
	default:
		return
	}
	l.stats.textPongs.Add(1)
}
