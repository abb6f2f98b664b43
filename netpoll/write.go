package netpoll

import (
	"bytes"
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"roost/wsproto"
)

// flushSize is how many bytes wait for a connection before they are written in the
// middle of a batch: more would leave in another system call anyway.
const flushSize = scratchSize

// flush writes what waits for a connection until all of it is with the kernel
// or the kernel takes no more. It may end the connection.
func (l *loop) flush(c *conn) {
	defer l.guard(c)
	for c.state != stateClosed && c.out != nil {
		if c.out.empty() && !l.flushGap(c) {
			l.flushed(c)
			return
		}
		buf := c.out.gather(l.scratch)
		n, err := l.write(c, buf)
		if n > 0 {
			c.out.progress.resume()
			l.countSent(c, n)
		}
		switch {
		case err == nil && n == len(buf):
		case err == nil || errors.Is(err, unix.EAGAIN):
			l.stall(c)
			return
		default:
			l.closeNow(c, ReasonWriteError)
			return
		}
	}
}

// flushed puts the queue back and, if these were the last words, shuts the
// sending side. A client that has taken what waited for long is alive, though the
// ping may be among what it still has to read.
func (l *loop) flushed(c *conn) {
	if c.out.progress.behind != 0 {
		if now := l.server.now(); c.out.progress.slow(now) {
			c.lastRead = instantOf(now)
		}
	}
	l.putQueue(c)
	if c.state == stateClosing {
		l.linger(c)
	}
}

// stall notes that the kernel takes no more for c, and has the loop told when it does
// again. From now on what waits is counted in the memory of all queues.
func (l *loop) stall(c *conn) {
	q := c.out
	if q.memory == nil && !c.selfCheck {
		q.count(&l.server.queues)
	}
	l.rank(c)
	if !c.stalled() {
		now := l.server.now()
		q.progress.stall(now, unackedBytes(c.fd))
		l.resetTimer(c, now)
	}
	if c.watchesWrite {
		return
	}
	c.watchesWrite = true
	l.stats.stalled.Add(1)
	if err := l.poll.watchWriting(c.fd, true); err != nil {
		l.server.log.Error("a stalled connection can't be watched; it is closed", "error", err, "user_id", c.link.User())
		l.closeNow(c, ReasonWriteError)
	}
}

// unwatchWrite ends what stall began.
func (l *loop) unwatchWrite(c *conn) {
	if c.watchesWrite {
		c.watchesWrite = false
		l.stats.stalled.Add(-1)
		_ = l.poll.watchWriting(c.fd, false) // fails only for one that is about to be closed
	}
}

// pollAcked sees whether a client that the kernel takes nothing for has taken anything.
func (l *loop) pollAcked(c *conn, now time.Duration) {
	c.out.progress.look(now, unackedBytes(c.fd))
}

// unackedBytes returns how many of the bytes that the kernel has taken the client
// has not acknowledged, the end of the stream counted as one where it was sent. It
// holds for a connection that was reset too.
func unackedBytes(fd int32) int {
	n, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
	if err != nil {
		return 0
	}
	return n
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
			c.written += uint32(n)
			l.stats.bytesOut.Add(uint64(n))
		}
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

// send writes b to a connection for which nothing waits. What the kernel does
// not take is copied and waits in a queue.
func (l *loop) send(c *conn, b []byte) {
	n, err := l.write(c, b)
	switch {
	case err != nil && !errors.Is(err, unix.EAGAIN):
		l.closeNow(c, ReasonWriteError)
	case n < len(b):
		l.getQueue(c)
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
	l.send(c, wsproto.AppendPong(l.scratch[:0], payload))
}

// sendTextPong answers a ping in text. Where it can't leave at once one answer
// waits for all that are asked for meanwhile, so that they cost no memory either.
func (l *loop) sendTextPong(c *conn) {
	switch {
	case c.out == nil:
		l.send(c, wsproto.TextPong())
	case c.out.textPong == nil:
		c.out.textPong = wsproto.TextPong()
	default:
		return
	}
	l.stats.textPongs.Add(1)
}

// Sent means that the kernel has taken a notification. What becomes of it then only
// the client's kernel knows, which acknowledges bytes. When a connection ends, what
// was not acknowledged is counted: these deliveries stay counted as sent, and most of
// them never arrived.

// unacked is what a client had not acknowledged of what the kernel had taken for it.
type unacked struct {
	bytes      int
	deliveries int  // notifications whose last byte is one of these
	all        bool // no more than deliveries, for which the loop's log goes back far enough
}

// countUnacked asks for that, and counts it, when a connection that was open is about
// to be closed, however it came to this. It costs a system call.
func (l *loop) countUnacked(c *conn) unacked {
	ending := c.extra != nil && c.extra.wasOpen
	if c.selfCheck || c.state != stateOpen && !ending {
		return unacked{}
	}
	left := unacked{bytes: unackedBytes(c.fd)}
	if c.state == stateLingering && !c.extra.wantsClose && left.bytes > 0 {
		left.bytes-- // the end of the stream
	}
	left.deliveries, left.all = l.sent.closeFD(c.fd, c.written-uint32(left.bytes))
	if left.bytes > 0 {
		l.stats.unackedBytes[c.reason].Add(uint64(left.bytes))
		l.stats.unacked[c.reason].Add(uint64(left.deliveries))
	}
	if ending && left.deliveries > 0 {
		l.logUnacked(c, left)
	}
	return left
}
