package netpoll

import (
	"log/slog"
	"time"

	"golang.org/x/sys/unix"

	"roost/wsproto"
)

// read reads what a client has sent, Config.ReadBuffer bytes at most. epoll reports what is left again.
func (c *conn) read() {
	if c.state == stateClosed {
		return
	}
	if c.secure() {
		c.readSealed()
		return
	}
	n, err := unix.Read(int(c.fd), c.loop.input)
	switch {
	case n > 0:
		c.loop.stats.BytesIn.Add(int64(n))
		c.received(c.loop.input[:n])
	case err == unix.EAGAIN || err == unix.EINTR:
	default:
		c.closeNow(ReasonGone)
	}
}

// received handles what came from the client, without TLS around it. b is a buffer of the loop: nothing of it may be kept.
func (c *conn) received(b []byte) {
	switch c.state {
	case stateTLS:
		c.extra.hs.readTLS(b)
	case stateRequest:
		c.extra.hs.read(b)
	case stateAuthenticating, stateSubscribing:
		c.extra.hs.saveEarly(b)
	case stateOpen:
		c.receivedOpen(b)
	case stateClosing, stateLingering:
		c.extra.discard(b)
	}
}

// receivedOpen handles what came on an open connection.
func (c *conn) receivedOpen(b []byte) {
	if c.stream {
		c.ignore(b)
		return
	}
	c.readFrames(b)
}

// readFrames handles bytes of WebSocket frames. The loop's decoder serves every connection whose frames come whole; a
// connection has its own only in the middle of a frame or message.
func (c *conn) readFrames(b []byte) {
	l := c.loop
	now := l.server.now()
	decoder, began, free := &l.decoder, instantOf(now), c.lastRead.ago(now) >= quietFor
	if c.extra != nil && !c.extra.decoder.Idle() {
		decoder, began, free = &c.extra.decoder, c.extra.began, c.extra.free
	}
	c.lastRead = instantOf(now)
	limits := wsproto.Limits{Message: l.server.cfg.MaxMessage, Auth: wsproto.MaxAuth}
	for len(b) > 0 && c.state == stateOpen {
		event, rest, problem := decoder.NextWithin(b, limits)
		if problem != nil {
			c.protocolError(problem)
			break
		}
		if event.Kind == wsproto.EventNone {
			break
		}
		b = rest
		// Frames count, not reads: the network decides how many of those there are.
		if !free && event.Kind != wsproto.EventClose && !c.withinRate() {
			break
		}
		free = false
		if decoder.Idle() {
			began = instantOf(now)
		}
		c.handleFrame(event)
	}
	c.saveDecoder(decoder, began, free)
}

// saveDecoder keeps the decoder for a connection that is in the middle of a frame or message since began. free says that
// the frame does not count against the inbound rate limit.
func (c *conn) saveDecoder(decoder *wsproto.Decoder, began instant, free bool) {
	switch {
	case c.state == stateOpen && !decoder.Idle():
		if c.extra == nil {
			c.extra = c.loop.extras.get()
		}
		if decoder == &c.loop.decoder {
			c.extra.decoder = *decoder
		}
		c.extra.began, c.extra.free = began, free
		if c.extra.held() != c.extra.counted {
			c.countHeld()
			c.loop.boundHeld()
		}
	case c.state == stateOpen:
		c.resetExtra()
	}
	c.loop.decoder = wsproto.Decoder{}
}

// unfinishedFor returns for how long the client has been in the middle of a frame or message; 0 means that it is in none.
func (c *conn) unfinishedFor(now time.Duration) time.Duration {
	if c.state != stateOpen || c.extra == nil || c.stream {
		return 0
	}
	return c.extra.began.ago(now)
}

// handleFrame handles one frame or message from the client.
func (c *conn) handleFrame(event wsproto.Event) {
	l := c.loop
	switch event.Kind {
	case wsproto.EventPing:
		c.sendPong(event.Payload)
	case wsproto.EventMessage:
		l.stats.ClientMessages.Add(1)
		if event.TextPing {
			c.sendTextPong()
			return
		}
		if event.Auth {
			c.receivedAuth(event.Payload)
			return
		}
		l.server.log.Debug("client message ignored", "user_id", c.link.User(), "bytes", event.Size, "text", event.Text)
	case wsproto.EventClose:
		// RFC 6455 section 5.5.1: the answer echoes the code.
		c.closeWith(ReasonClient, wsproto.AppendClose(l.scratch[:0], event.Code, ""))
	}
}

// protocolError closes a connection whose client broke the protocol, and tells it how.
func (c *conn) protocolError(problem *wsproto.ProtocolError) {
	why := ReasonProtocol
	switch problem.Code {
	case wsproto.CloseInvalidPayload:
		why = ReasonInvalid
	case wsproto.CloseTooBig:
		why = ReasonTooBig
	}
	c.loop.server.log.Debug("protocol violation", slog.String("user_id", c.link.User()),
		slog.Int("close_code", int(problem.Code)), slog.String("problem", problem.Text))
	c.closeWith(why, wsproto.AppendClose(c.loop.scratch[:0], problem.Code, problem.Text))
}

// quietFor is the silence after which a client may send one frame that is not counted, such as a pong.
const quietFor = time.Second

// withinRate counts one frame against the inbound rate limit. It closes the connection and returns false if that was too
// many.
func (c *conn) withinRate() bool {
	l := c.loop
	rules := l.server.rules.Load()
	if rules.MessageRate <= 0 {
		return true
	}
	if l.inbound.Allow(c, l.server.now(), rules.MessageRate, rules.MessageBurst) {
		return true
	}
	c.closeWith(ReasonTooFast, wsproto.AppendClose(l.scratch[:0], wsproto.ClosePolicy, "too many messages"))
	return false
}
