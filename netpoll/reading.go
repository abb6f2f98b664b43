package netpoll

import (
	"log/slog"

	"golang.org/x/sys/unix"

	"roost/wsproto"
)

// read takes what a connection has sent, as much as one may in a turn. What is
// left epoll reports again.
func (l *loop) read(c *conn) {
	if c.state == stateClosed {
		return
	}
	n, err := unix.Read(int(c.fd), l.input)
	switch {
	case n > 0:
		l.received(c, l.input[:n])
	case err == unix.EAGAIN || err == unix.EINTR:
	default:
		l.drop(c, ReasonGone)
	}
}

// received takes what came from the client. b is the loop's: valid
// until this returns, and nothing of it may be kept.
func (l *loop) received(c *conn, b []byte) {
	l.stats.bytesIn.Add(uint64(len(b)))
	switch c.state {
	case stateOpening:
		l.readHead(c, b)
	case stateChecking:
		l.keepEarly(c, &c.part.hs.check.asked, b)
	case stateAwaiting:
		l.keepEarly(c, c.part.hs.awaits, b)
	case stateOpen:
		l.readFrames(c, b)
	case stateClosing, stateLingering:
		l.discard(c, b)
	}
}

// readFrames takes bytes of WebSocket frames. The loop's one decoder serves
// every connection whose frames come whole; a connection has its own only while
// it is in the middle of a frame or message.
func (l *loop) readFrames(c *conn, b []byte) {
	decoder := &l.decoder
	if c.part != nil {
		decoder = &c.part.decoder
	}
	now := l.server.now()
	free := c.heard.ago(now) >= quietFor
	c.heard = instantOf(now)
	for len(b) > 0 && c.state == stateOpen {
		event, rest, problem := decoder.Next(b, l.server.cfg.MaxMessage)
		if problem != nil {
			l.violation(c, problem)
			break
		}
		b = rest
		// A read that ends nothing counts too: fragments come as fast as messages.
		if !free && event.Kind != wsproto.EventClose && !l.mayTalk(c) {
			break
		}
		free = false
		if event.Kind != wsproto.EventNone {
			l.heardFrom(c, event)
		}
	}
	l.parkDecoder(c, decoder)
}

// parkDecoder keeps the decoder's state for the connection where it matters.
func (l *loop) parkDecoder(c *conn, decoder *wsproto.Decoder) {
	switch {
	case c.state == stateOpen && !decoder.Idle():
		if c.part != nil {
			return // it is there already
		}
		c.part = l.getPart()
		c.part.decoder = *decoder
	case c.state == stateOpen:
		l.putPart(c)
	}
	l.decoder = wsproto.Decoder{}
}

func (l *loop) heardFrom(c *conn, event wsproto.Event) {
	switch event.Kind {
	case wsproto.EventPing:
		l.sendPong(c, event.Payload)
	case wsproto.EventMessage:
		l.stats.messages.Add(1)
		if event.TextPing {
			l.sendTextPong(c)
			return
		}
		l.server.log.Debug("client message ignored", "user_id", c.link.User(), "bytes", event.Size, "text", event.Text)
	case wsproto.EventClose:
		// RFC 6455 section 5.5.1: the answer echoes the code.
		l.end(c, ReasonClient, wsproto.AppendClose(l.scratch[:0], event.Code, ""))
	}
}

// violation ends a connection that broke the protocol, saying how.
func (l *loop) violation(c *conn, problem *wsproto.ProtocolError) {
	why := ReasonProtocol
	switch problem.Code {
	case wsproto.CloseInvalidPayload:
		why = ReasonInvalid
	case wsproto.CloseTooBig:
		why = ReasonTooBig
	}
	l.server.log.Debug("protocol violation", slog.String("user_id", c.link.User()),
		slog.Int("close_code", int(problem.Code)), slog.String("problem", problem.Text))
	l.end(c, why, wsproto.AppendClose(l.scratch[:0], problem.Code, problem.Text))
}
