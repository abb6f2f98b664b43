package netpoll

import (
	"bytes"
	"time"

	"golang.org/x/sys/unix"
)

// discardLimit is how many bytes a client whose connection has ended may still
// send before it is cut off: whoever is in the middle of a large request shall
// get to read the answer to it.
const discardLimit = 256 << 10

// closingLimit bounds how long last words may take behind what a slow client
// still has to get, however steadily it takes it.
const closingLimit = 20 * time.Second

// end leaves the connection with last words: a close frame or an HTTP answer.
// They go behind what waits already, for as long as the client takes it (see
// WriteWait). Then the sending side is shut, what still comes is thrown away,
// and the socket is closed when the client closes its side, or after
// LingerTimeout. To close at once with unread bytes in the socket would send a
// reset, and the client would lose the answer.
func (l *loop) end(c *conn, why Reason, lastWords []byte) {
	if c.state >= stateClosing {
		return
	}
	l.unregister(c, why, closeClassOf(lastWords))
	l.leavePlace(c)
	l.leaveAudience(c)
	l.endPending(c)
	l.putPart(c)
	c.state = stateClosing
	c.part = l.getPart()
	c.part.leftover = discardLimit
	l.closing.append(c)
	l.stats.ending.Add(1)
	if c.out == nil {
		l.sendNow(c, lastWords)
	} else {
		c.out.lastWords = bytes.Clone(lastWords)
		if c.out.stalled == 0 {
			l.flush(c)
		}
	}
	if c.state != stateClosing {
		return
	}
	if c.out == nil {
		l.linger(c)
		return
	}
	now := l.server.now()
	c.part.giveUp = now + closingLimit
	l.at(c, now+l.server.cfg.WriteWait)
}

// linger shuts the sending side, once the last words are with the kernel.
func (l *loop) linger(c *conn) {
	c.state = stateLingering
	l.closing.remove(c)
	l.lingering.append(c)
	l.stats.lingering.Add(1)
	c.part.giveUp = l.server.now() + l.server.cfg.LingerTimeout
	l.at(c, c.part.giveUp)
	if l.lingering.n > l.server.cfg.LingeringSockets {
		l.cutLingering()
	}
	if err := unix.Shutdown(int(c.fd), unix.SHUT_WR); err != nil {
		l.drop(c, c.reason) // the client is gone already
	}
}

// cutLingering closes the socket that lingers the longest: it has had its answer.
func (l *loop) cutLingering() {
	l.stats.lingerCut.Add(1)
	l.drop(l.lingering.first, l.lingering.first.reason)
}

// dueEnding is due for a connection that has got its last words.
func (l *loop) dueEnding(c *conn, now time.Duration) {
	since := c.stalledSince()
	stuck := since != 0 && now-since >= l.server.cfg.WriteWait
	if stuck || now >= c.part.giveUp {
		l.drop(c, c.reason)
		return
	}
	l.at(c, min(c.part.giveUp, now+l.server.cfg.WriteWait))
}

// discard throws away what comes after the last words, within a bound.
func (l *loop) discard(c *conn, n int) {
	c.part.leftover -= int32(min(n, discardLimit+1))
	if c.part.leftover < 0 {
		l.drop(c, c.reason)
	}
}

// drop closes the socket at once.
func (l *loop) drop(c *conn, why Reason) {
	if c.state == stateClosed {
		return
	}
	if c.reason == reasonNone {
		c.reason = why
	}
	l.forget(c)
	_ = unix.Close(int(c.fd))
	l.server.socketGone()
}

// forget ends what a connection has here, before its descriptor is closed: from
// then on the number may be another client's.
func (l *loop) forget(c *conn) {
	l.unregister(c, c.reason, closeNone)
	switch c.state {
	case stateClosing:
		l.closing.remove(c)
		l.stats.ending.Add(-1)
	case stateLingering:
		l.lingering.remove(c)
		l.stats.ending.Add(-1)
		l.stats.lingering.Add(-1)
	}
	l.abandonQueue(c)
	l.talkers.forget(c)
	l.leavePlace(c)
	l.leaveAudience(c)
	l.endPending(c)
	c.state = stateClosed
	l.putPart(c)
	l.wheel.disarm(c)
	l.server.conns.set(c.fd, nil)
	l.stats.sockets.Add(-1)
}

// unregister takes an open connection out of the hub, once, and says why it
// ended. From then on nothing is delivered to it.
func (l *loop) unregister(c *conn, why Reason, code closeClass) {
	if c.reason == reasonNone {
		c.reason = why
	}
	if c.state != stateOpen {
		return
	}
	total, ofUser := l.server.cfg.Hub.Remove(c)
	if c.probe {
		return
	}
	l.stats.ended[c.reason].Add(1)
	l.stats.closed[code].Add(1)
	l.logDisconnected(c, total, ofUser)
}
