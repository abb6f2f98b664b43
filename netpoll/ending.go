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
	l.forgetHead(c)
	l.unregister(c, why)
	c.state = stateClosing
	l.stats.ending.Add(1)
	c.leftover = discardLimit
	if c.out == nil {
		l.sendNow(c, lastWords)
	} else {
		c.out.lastWords = bytes.Clone(lastWords)
		if c.stalled == 0 {
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
	c.giveUp = now + closingLimit
	l.at(c, now+l.server.cfg.WriteWait)
}

// linger shuts the sending side, once the last words are with the kernel.
func (l *loop) linger(c *conn) {
	c.state = stateLingering
	c.giveUp = l.server.now() + l.server.cfg.LingerTimeout
	l.at(c, c.giveUp)
	if l.stats.lingering.Add(1) > int64(l.server.cfg.LingeringSockets) {
		l.stats.lingerCut.Add(1)
		l.drop(c, c.reason)
		return
	}
	if err := unix.Shutdown(int(c.fd), unix.SHUT_WR); err != nil {
		l.drop(c, c.reason) // the client is gone already
	}
}

// dueEnding is due for a connection that has got its last words.
func (l *loop) dueEnding(c *conn, now time.Duration) {
	stuck := c.stalled != 0 && now-c.stalled >= l.server.cfg.WriteWait
	if stuck || now >= c.giveUp {
		l.drop(c, c.reason)
		return
	}
	l.at(c, min(c.giveUp, now+l.server.cfg.WriteWait))
}

// discard throws away what comes after the last words, within a bound.
func (l *loop) discard(c *conn, n int) {
	c.leftover -= int32(min(n, discardLimit+1))
	if c.leftover < 0 {
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
	// gnet calls OnClose from inside, which calls closed below.
	_ = l.engine.Close(c.sock)
}

// closed is called once the socket is about to be closed, by whoever: from here
// on its descriptor's number may be another client's.
func (l *loop) closed(c *conn) {
	if c.state == stateClosed {
		return
	}
	l.unregister(c, ReasonGone)
	if c.state >= stateClosing {
		l.stats.ending.Add(-1)
	}
	if c.state == stateLingering {
		l.stats.lingering.Add(-1)
	}
	l.abandonQueue(c)
	l.forgetHead(c)
	c.state = stateClosed
	l.wheel.disarm(&c.timer)
	c.decoder = nil
	l.server.socketGone()
}

// unregister takes an open connection out of the hub, once, and says why it
// ended. From then on nothing is delivered to it.
func (l *loop) unregister(c *conn, why Reason) {
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
	l.server.log.Info("disconnected", "user_id", c.link.User(), "reason", c.reason.String(),
		"total_connections", total, "user_connections", ofUser)
}
