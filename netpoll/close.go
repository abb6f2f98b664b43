package netpoll

import (
	"bytes"
	"time"

	"golang.org/x/sys/unix"

	"roost/internal/list"
	"roost/wsproto"
)

// discardLimit is how many bytes a client may send after the close message: one that is in the middle of a large request
// should be able to read the answer.
const discardLimit = 256 << 10

// closingLimit bounds how long a close message waits behind a slow client's notifications.
const closingLimit = 20 * time.Second

// closeWith ends a connection with a close message: a close frame or an HTTP answer. The message goes behind what waits
// already, for as long as the client takes that (see Config.WriteWait); what the client still sends is thrown away.
//
// The sending side is shut behind an HTTP answer at once, and otherwise when the client's close frame has come too (RFC
// 6455 section 7.1.1): a browser that sees the end of the stream before it has sent its own close frame calls the
// connection unclean. The socket is closed when the client closes its side, or after Config.LingerTimeout. Closing at
// once with unread bytes in the socket would send a reset, and the client would lose the message.
func (c *conn) closeWith(why Reason, closeMessage []byte) {
	if c.state >= stateClosing {
		return
	}
	l := c.loop
	wasOpen := c.state == stateOpen
	wantsClose, decoder := c.expectsClose(why, closeMessage)
	c.reason = why
	c.detach(closeClassOf(closeMessage), unacked{})
	if wasOpen && c.stream {
		closeMessage = wsproto.AppendCloseEvent(nil, closeMessage)
	}
	c.state = stateClosing
	c.resetExtra()
	if c.extra == nil {
		c.extra = l.extras.get()
	}
	c.extra.decoder = decoder
	c.extra.closing = closing{conn: c, wasOpen: wasOpen, wantsClose: wantsClose, discardLeft: discardLimit}
	l.closing.Append(&c.extra.inList, &c.extra.closing)
	l.stats.closing.Add(1)
	if c.out == nil {
		c.send(closeMessage)
	} else {
		c.out.CloseMessage = bytes.Clone(closeMessage)
		if !c.stalled() {
			c.flush()
		}
	}
	if c.state != stateClosing {
		return
	}
	if c.out == nil {
		c.extra.linger()
		return
	}
	c.extra.closeBy = l.server.now() + closingLimit
	c.setTimer(min(c.extra.closeBy, c.out.nextAckPoll(l.server.cfg.WriteWait)))
}

// expectsClose reports whether the client has a close frame to send, and returns the decoder that will find it. After a
// protocol error nothing more from the client is decoded (RFC 6455 section 7.1.7).
func (c *conn) expectsClose(why Reason, closeMessage []byte) (bool, wsproto.Decoder) {
	switch {
	case c.stream:
		return false, wsproto.Decoder{}
	case why == ReasonClient, why == ReasonProtocol, why == ReasonInvalid, why == ReasonTooBig, why == ReasonTooFast:
		return false, wsproto.Decoder{}
	case c.state == stateOpen && c.extra != nil:
		decoder := c.extra.decoder
		decoder.DropAuth()
		return true, decoder
	}
	return c.state == stateOpen || bytes.HasPrefix(closeMessage, switching), wsproto.Decoder{}
}

// switching begins the answer to a handshake that is refused with a close frame.
var switching = []byte("HTTP/1.1 101 ")

// closing is what a connection has behind its close message, while it is closing or lingering. Part of its extra.
type closing struct {
	conn   *conn
	inList list.Node[closing] // of loop.closing or loop.lingering

	wasOpen     bool          // the connection had got its 101
	wantsClose  bool          // the client has not sent its close frame
	notifyBytes uint8         // bytes of close_notify that the kernel has taken
	notifyLeft  uint8         // and bytes of it that wait in the send queue
	ended       bool          // the stream to the client has ended, which counts as a byte among those that are not acknowledged
	discardLeft int32         // bytes that may still come, to be discarded; of an open event stream, too
	closeBy     time.Duration // when the socket is closed at the latest
}

// linger waits for the client to close its side, once the kernel has the close message.
func (e *closing) linger() {
	c, l := e.conn, e.conn.loop
	c.state = stateLingering
	e.inList.Remove()
	l.lingering.Append(&e.inList, e)
	l.stats.Lingering.Add(1)
	e.closeBy = l.server.now() + l.server.cfg.LingerTimeout
	c.setTimer(e.closeBy)
	if l.lingering.Len() > l.server.cfg.LingeringSockets {
		l.closeOldestLingering()
	}
	if c.state == stateLingering && !e.wantsClose {
		e.shutdownWrite()
	}
}

// shutdownWrite ends the stream to the client, with TLS behind a close_notify. If the kernel has no room for all of that, it is
// called again once the kernel has it (flushed).
func (e *closing) shutdownWrite() {
	c := e.conn
	if c.out != nil {
		return
	}
	e.notifyBytes += e.notifyLeft
	sent, rest := c.endStream()
	e.notifyBytes, e.notifyLeft = e.notifyBytes+uint8(sent), uint8(len(rest))
	if len(rest) > 0 {
		c.keepSealed(rest)
		return
	}
	e.ended = true
	if err := unix.Shutdown(int(c.fd), unix.SHUT_WR); err != nil {
		c.closeNow(c.reason) // the client has reset the connection
	}
}

// closeOldestLingering closes the socket that has lingered longest.
func (l *loop) closeOldestLingering() {
	l.stats.LingerCut.Add(1)
	c := l.lingering.First().conn
	c.closeNow(c.reason)
}

// onTimer is conn.onTimer for a connection that is closing or lingering.
func (e *closing) onTimer(now time.Duration) {
	c, writeWait := e.conn, e.conn.loop.server.cfg.WriteWait
	if c.stalled() && c.out.timedOut(now, writeWait) || now >= e.closeBy {
		c.closeNow(c.reason)
		return
	}
	when := e.closeBy
	if c.stalled() {
		when = min(when, c.out.nextAckPoll(writeWait))
	}
	c.setTimer(when)
}

// discard discards what the client sends after the close message, discardLimit bytes at most, and looks for its close
// frame.
func (e *closing) discard(b []byte) {
	c := e.conn
	e.discardLeft -= int32(min(len(b), discardLimit+1))
	if e.discardLeft < 0 {
		c.closeNow(c.reason)
		return
	}
	for e.wantsClose && len(b) > 0 {
		event, rest, problem := c.extra.decoder.Next(b, 0)
		if b = rest; problem == nil && event.Kind != wsproto.EventClose {
			continue
		}
		e.wantsClose = false
		if c.state == stateLingering {
			e.shutdownWrite()
		}
	}
}

// closeNow closes the socket at once. From then on its number may be another client's.
func (c *conn) closeNow(why Reason) {
	if c.state == stateClosed {
		return
	}
	if c.reason == reasonNone {
		c.reason = why
	}
	c.cleanup()
	if c.loop.server.shared.Load() { // another process may have the socket, too
		c.loop.poll.remove(int(c.fd))
		_ = unix.Shutdown(int(c.fd), unix.SHUT_RDWR)
	}
	_ = unix.Close(int(c.fd))
	c.loop.server.socketClosed()
}

// cleanup frees all that a connection has, before its socket is closed.
func (c *conn) cleanup() {
	l := c.loop
	left := c.countUnacked()
	switch c.state {
	case stateClosing:
		c.extra.inList.Remove()
		l.stats.closing.Add(-1)
	case stateLingering:
		c.extra.inList.Remove()
		l.stats.closing.Add(-1)
		l.stats.Lingering.Add(-1)
	}
	c.detach(closeNone, left)
	c.putExtra()
	c.endStream()
	c.state = stateClosed
	c.cleanupQueue()
	l.inbound.Forget(c)
	l.renewed.Forget(c)
	c.wipe()
	l.wheel.Disarm(c)
	l.server.conns.Set(c.fd, nil)
	l.stats.sockets.Add(-1)
}

// detach frees what a connection has until it closes: its places in the hub, among the connections of its address and in
// the subscriptions, and its handshake. A connection that is closing has only extra left.
func (c *conn) detach(code closeClass, left unacked) {
	c.leaveHub(code, left)
	c.loop.noteEnded(c)
	c.loop.server.perIP.Release(c.ipSlot)
	c.ipSlot = 0
	c.releaseSubscription()
	c.endRenewal()
	if c.extra != nil && c.extra.hs != nil {
		c.extra.hs.end()
	}
}

// leaveHub takes an open connection out of the hub, so that nothing more is delivered to it, and counts and logs its end.
func (c *conn) leaveHub(code closeClass, left unacked) {
	l := c.loop
	if c.state != stateOpen {
		return
	}
	total, ofUser := l.server.cfg.Hub.Remove(c)
	if c.selfCheck {
		return
	}
	if c.stream {
		l.stats.EventStreams.Add(-1)
	}
	l.stats.ended[c.reason].Add(1)
	l.stats.closeCodes[code].Add(1)
	l.server.lines.disconnected(c, total, ofUser, left)
}

// Disconnect implements hub.Conn: a backend has commanded it.
func (c *conn) Disconnect(code wsproto.CloseCode, reason, id string) {
	c.closeBehindMail(ReasonDisconnected, code, reason, id)
}

// closeReplaced is the close code of a connection that was replaced by a newer one of its user: that of a handshake
// refused with 429 (handshake.RejectionCode). A client that reconnects at once would replace the next one.
const closeReplaced wsproto.CloseCode = 4429

// Replaced implements hub.Conn.
func (c *conn) Replaced() {
	c.closeBehindMail(ReasonReplaced, closeReplaced, "replaced by a newer connection of this user", "")
}

// closeBehindMail has the loop close a connection that the hub has removed, behind what was delivered to it: up to id, where
// that is not "". Any goroutine.
func (c *conn) closeBehindMail(why Reason, code wsproto.CloseCode, text, id string) {
	l := c.loop
	l.do(func() {
		defer c.guard()
		l.deliverAllMail()
		if c.out != nil && !c.out.lostSince.IsZero() {
			id = "" // a loss that it is not told of any more
		}
		c.closeWith(why, wsproto.AppendCloseAt(l.scratch[:0], code, text, id))
	})
}
