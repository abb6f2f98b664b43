package netpoll

import (
	"bytes"
	"errors"
	"math"
	"net/netip"
	"unsafe"

	"roost/hub"
	"roost/wsproto/handshake"
)

// open begins the life of a connection on its loop. peer is the other end of the socket.
func (l *loop) open(fd int, peer netip.AddrPort) *conn {
	now := l.server.now()
	c := &conn{loop: l, fd: int32(fd), lastRead: instantOf(now)}
	l.server.conns.Set(c.fd, c)
	l.stats.sockets.Add(1)
	c.startHandshake(peer)
	c.setTimer(now + l.server.cfg.HandshakeTimeout)
	return c
}

// readHead takes bytes of a request head, with the PROXY header before it where one has to be. Until the
// head is complete nothing else is parsed, and what came is copied only if it did not come in one piece. Of a
// PROXY header nothing is kept but its bytes: with each piece it is read again.
func (c *conn) readHead(b []byte) {
	h := c.extra.hs
	if h.head != nil {
		b = append(h.head, b...)
	}
	size, ok := c.readProxyHeader(b)
	if !ok {
		return
	}
	head := b[size:]
	end := handshake.HeadEnd(head, h.scanned-size)
	switch {
	case end > handshake.MaxHead || (end == 0 && len(head) >= handshake.MaxHead):
		c.respondHeadError(handshake.RefuseHeadTooLarge(), ReasonAnswered)
	case end == 0:
		c.saveHead(b, len(head) > 0)
	default:
		c.freeHead()
		c.dispatch(head[:end], head[end:])
	}
}

// saveHead keeps the beginning of a head until more of it comes. asks says whether b holds any of the request.
func (c *conn) saveHead(b []byte, asks bool) {
	h := c.extra.hs
	if h.head == nil {
		b = bytes.Clone(b)
	}
	h.head, h.scanned = b, len(b)
	if asks && !h.requested {
		h.requested = true
		c.loop.stats.partialRequests.Add(1)
	}
	c.setWeight(unknownWeight)
	c.growBytes(cap(h.head))
}

// freeHead lets go of what keepHead kept.
func (c *conn) freeHead() {
	h := c.extra.hs
	if h.requested {
		c.loop.stats.partialRequests.Add(-1)
	}
	h.head, h.scanned, h.requested = nil, 0, false
	c.setBytes(0)
}

// dispatch does what a complete head asks for. more is what came behind it.
func (c *conn) dispatch(head, more []byte) {
	l := c.loop
	req, refusal := l.server.upgrader().Read(head)
	c.resolveClient(&req)
	switch {
	case refusal != nil:
		c.respondError(req, refusal)
	case req.Kind == handshake.Health:
		status, body := l.server.cfg.Health()
		c.respondHealth(req, status, body)
	case req.Kind == handshake.Live:
		c.respondHealth(req, 200, l.server.cfg.Live)
	default:
		c.authenticate(req, more)
	}
}

// authenticate finds out who asks for an upgrade.
func (c *conn) authenticate(req handshake.Request, more []byte) {
	refusal, later := c.loop.server.upgrader().Identify(&req, c.loop.server.cfg.Now())
	if later {
		c.authenticateAsync(req, more)
		return
	}
	c.authenticated(req, refusal, more)
}

// authenticated goes on when it is known who asks, or why nobody is let in.
func (c *conn) authenticated(req handshake.Request, refusal *handshake.Refusal, more []byte) {
	l := c.loop
	switch {
	case refusal != nil && refusal.Reason == handshake.ReasonKeyPending:
		c.respondError(req, handshake.RefuseKeyPending(refusal.Wait+l.server.jitter()))
	case refusal != nil:
		c.respondError(req, refusal)
	case l.server.draining.Load() && !req.Probe:
		c.respondError(req, handshake.RefuseDraining(l.server.retryAfter()))
	case !req.Probe && l.server.handshakesExceeded(c.extra.hs.source):
		c.respondError(req, handshake.RefuseBusy(l.server.retryAfter()))
	default:
		c.admitOrWait(req, more)
	}
}

// admitOrWait admits a connection, at once or when its user's notifications are heard.
func (c *conn) admitOrWait(req handshake.Request, more []byte) {
	l := c.loop
	c.selfCheck = req.Probe // before others can find the connection
	c.extra.hs.ipFull = !c.acquireIP()
	switch {
	case c.extra.hs.ipFull && !l.server.cfg.Hub.Replaces(req.User):
		c.respondError(req, handshake.RefuseAddressFull(l.server.retryAfter()))
	case l.server.cfg.Subscriptions != nil:
		c.subscribe(req, more)
	default:
		c.admit(req, more)
	}
}

// admit registers the connection first and answers second: a notification that
// the client's own onopen causes must find it, and since deliveries are items of
// the loop's queue they can't overtake the 101. It is false when the connection is refused.
func (c *conn) admit(req handshake.Request, more []byte) bool {
	l := c.loop
	if !c.hasDescriptor() {
		c.respondError(req, handshake.RefuseOpenFiles(l.server.retryAfter()))
		return false
	}
	total, ofUser, err := c.register(&req)
	switch {
	case errors.Is(err, errIPFull):
		c.respondError(req, handshake.RefuseAddressFull(l.server.retryAfter()))
		return false
	case errors.Is(err, hub.ErrFull):
		c.respondError(req, handshake.RefuseFull(l.server.retryAfter()))
		return false
	case errors.Is(err, hub.ErrUserFull):
		c.respondError(req, handshake.RefuseUserFull(l.server.retryAfter()))
		return false
	}
	now := l.server.now()
	if l.server.cfg.CloseOnExpiry {
		c.expireAt(req.Expires)
	}
	l.server.conns.SetOpened(c.fd, now)
	l.sent.Open(c.fd, l.server.cfg.Hub.Clock())
	client, peer := c.extra.hs.client, c.extra.hs.peer
	c.endHandshake()
	c.putExtra()
	c.state = stateOpen
	accepted := c.lastRead
	c.lastRead, c.lastPing = instantOf(now), l.randomLastPing(now)
	if !c.selfCheck {
		l.stats.opened.Add(1)
		c.logConnected(client, peer, total, ofUser)
	}
	c.resetTimer(now)
	c.send(req.AppendUpgrade(l.scratch[:0]))
	if !c.selfCheck {
		l.handshakes.Observe(accepted.ago(now), 1) // in milliseconds, beside which the answer took no time
	}
	if len(more) > 0 {
		c.readFrames(more)
	}
	return true
}

// errIPFull is register's where the client's address has as many connections as it may.
var errIPFull = errors.New("the address has too many connections")

// register registers a connection with the hub. Where its address is full it may only take the place of one from
// there; until that one has gone there is one more.
func (c *conn) register(req *handshake.Request) (total, ofUser int, err error) {
	l := c.loop
	h := c.extra.hs
	if !h.ipFull || c.acquireIP() {
		return l.server.cfg.Hub.Admit(c, req.User, req.Groups...)
	}
	c.ipSlot, _ = l.server.perIP.take(h.source, math.MaxInt)
	fromHere := func(oldest hub.Conn) bool {
		other, ok := oldest.(*conn)
		return ok && other.ipSlot == c.ipSlot // which it leaves after it has left the hub
	}
	if total, ofUser, err = l.server.cfg.Hub.Replace(c, req.User, fromHere, req.Groups...); err != nil {
		err = errIPFull
	}
	return total, ofUser, err
}

// maxEarly bounds the bytes that are kept for a client that sends frames before
// it has got its 101: RFC 6455 section 4.1 has it wait.
const maxEarly = handshake.MaxHead

// heldRequest is a request that can't be answered in the turn that brought it.
type heldRequest struct {
	req   handshake.Request // static; it holds nothing of the loop's buffers
	early []byte            // the loop's: what came behind the head

	counted bool // the loop's: it is in the gauge of those that wait for the feed
}

// size is how many bytes are kept for it.
func (a *heldRequest) size() int { return heldRequestSize + a.req.Size() + cap(a.early) }

// heldRequestSize is that of an asked, and of what holds it.
const heldRequestSize = int(unsafe.Sizeof(authJob{}))

// saveEarly keeps what a client sends that has not got its answer yet.
func (c *conn) saveEarly(a *heldRequest, b []byte) {
	if len(a.early)+len(b) > maxEarly {
		c.respondError(a.req, handshake.RefuseEarly())
		return
	}
	a.early = append(a.early, b...)
	c.growBytes(a.size())
}
