package netpoll

import (
	"bytes"
	"errors"
	"math"
	"net/netip"
	"unsafe"

	"roost/hub"
	"roost/wsproto"
)

// open begins the life of a connection on its loop. peer is the other end of the socket.
func (l *loop) open(fd int, peer netip.AddrPort) *conn {
	now := l.server.now()
	c := &conn{loop: l, fd: int32(fd), lastRead: instantOf(now)}
	l.server.conns.Set(c.fd, c)
	l.stats.sockets.Add(1)
	l.startHandshake(c, peer)
	l.setTimer(c, now+l.server.cfg.HandshakeTimeout)
	return c
}

// readHead takes bytes of a request head, with the PROXY header before it where one has to be. Until the
// head is complete nothing else is parsed, and what came is copied only if it did not come in one piece. Of a
// PROXY header nothing is kept but its bytes: with each piece it is read again.
func (l *loop) readHead(c *conn, b []byte) {
	h := c.extra.hs
	if h.head != nil {
		b = append(h.head, b...)
	}
	size, ok := l.readProxyHeader(c, b)
	if !ok {
		return
	}
	head := b[size:]
	end := wsproto.HeadEnd(head, h.scanned-size)
	switch {
	case end > wsproto.MaxHead || (end == 0 && len(head) >= wsproto.MaxHead):
		l.respondHeadError(c, wsproto.RefuseHeadTooLarge(), ReasonAnswered)
	case end == 0:
		l.saveHead(c, b, len(head) > 0)
	default:
		l.freeHead(c)
		l.dispatch(c, head[:end], head[end:])
	}
}

// saveHead keeps the beginning of a head until more of it comes. asks says whether b holds any of the request.
func (l *loop) saveHead(c *conn, b []byte, asks bool) {
	h := c.extra.hs
	if h.head == nil {
		b = bytes.Clone(b)
	}
	h.head, h.scanned = b, len(b)
	if asks && !h.requested {
		h.requested = true
		l.stats.partialRequests.Add(1)
	}
	l.setWeight(c, unknownWeight)
	l.growBytes(c, cap(h.head))
}

// freeHead lets go of what keepHead kept.
func (l *loop) freeHead(c *conn) {
	h := c.extra.hs
	if h.requested {
		l.stats.partialRequests.Add(-1)
	}
	h.head, h.scanned, h.requested = nil, 0, false
	l.setBytes(c, 0)
}

// dispatch does what a complete head asks for. more is what came behind it.
func (l *loop) dispatch(c *conn, head, more []byte) {
	req, refusal := l.server.gate().Read(head)
	l.resolveClient(c, &req)
	switch {
	case refusal != nil:
		l.respondError(c, req, refusal)
	case req.Kind == wsproto.Health:
		status, body := l.server.cfg.Health()
		l.respondHealth(c, req, status, body)
	case req.Kind == wsproto.Live:
		l.respondHealth(c, req, 200, l.server.cfg.Live)
	default:
		l.authenticate(c, req, more)
	}
}

// authenticate finds out who asks for an upgrade.
func (l *loop) authenticate(c *conn, req wsproto.Request, more []byte) {
	refusal, later := l.server.gate().Identify(&req, l.server.cfg.Now())
	if later {
		l.authenticateAsync(c, req, more)
		return
	}
	l.authenticated(c, req, refusal, more)
}

// authenticated goes on when it is known who asks, or why nobody is let in.
func (l *loop) authenticated(c *conn, req wsproto.Request, refusal *wsproto.Refusal, more []byte) {
	switch {
	case refusal != nil && refusal.Reason == wsproto.ReasonKeyPending:
		l.respondError(c, req, wsproto.RefuseKeyPending(refusal.Wait+l.server.jitter()))
	case refusal != nil:
		l.respondError(c, req, refusal)
	case l.server.draining.Load() && !req.Probe:
		l.respondError(c, req, wsproto.RefuseDraining(l.server.retryAfter()))
	case !req.Probe && l.server.handshakesExceeded(c.extra.hs.source):
		l.respondError(c, req, wsproto.RefuseBusy(l.server.retryAfter()))
	default:
		l.admitOrWait(c, req, more)
	}
}

// admitOrWait admits a connection, at once or when its user's notifications are heard.
func (l *loop) admitOrWait(c *conn, req wsproto.Request, more []byte) {
	c.selfCheck = req.Probe // before others can find the connection
	c.extra.hs.ipFull = !l.acquireIP(c)
	switch {
	case c.extra.hs.ipFull && !l.server.cfg.Hub.Replaces(req.User):
		l.respondError(c, req, wsproto.RefuseAddressFull(l.server.retryAfter()))
	case l.server.cfg.Subscriptions != nil:
		l.subscribe(c, req, more)
	default:
		l.admit(c, req, more)
	}
}

// admit registers the connection first and answers second: a notification that
// the client's own onopen causes must find it, and since deliveries are items of
// the loop's queue they can't overtake the 101. It is false when the connection is refused.
func (l *loop) admit(c *conn, req wsproto.Request, more []byte) bool {
	if !l.hasDescriptor(c) {
		l.respondError(c, req, wsproto.RefuseOpenFiles(l.server.retryAfter()))
		return false
	}
	total, ofUser, err := l.register(c, &req)
	switch {
	case errors.Is(err, errIPFull):
		l.respondError(c, req, wsproto.RefuseAddressFull(l.server.retryAfter()))
		return false
	case errors.Is(err, hub.ErrFull):
		l.respondError(c, req, wsproto.RefuseFull(l.server.retryAfter()))
		return false
	case errors.Is(err, hub.ErrUserFull):
		l.respondError(c, req, wsproto.RefuseUserFull(l.server.retryAfter()))
		return false
	}
	now := l.server.now()
	if l.server.cfg.CloseOnExpiry {
		c.expireAt(req.Expires)
	}
	l.server.conns.SetOpened(c.fd, now)
	l.sent.openFD(c.fd, l.server.cfg.Hub.Clock())
	client, peer := c.extra.hs.client, c.extra.hs.peer
	l.endHandshake(c)
	l.putExtra(c)
	c.state = stateOpen
	accepted := c.lastRead
	c.lastRead, c.lastPing = instantOf(now), l.randomLastPing(now)
	if !c.selfCheck {
		l.stats.opened.Add(1)
		l.logConnected(c, client, peer, total, ofUser)
	}
	l.resetTimer(c, now)
	l.send(c, req.AppendUpgrade(l.scratch[:0]))
	if !c.selfCheck {
		l.handshakes.Observe(accepted.ago(now), 1) // in milliseconds, beside which the answer took no time
	}
	if len(more) > 0 {
		l.readFrames(c, more)
	}
	return true
}

// errIPFull is register's where the client's address has as many connections as it may.
var errIPFull = errors.New("the address has too many connections")

// register registers a connection with the hub. Where its address is full it may only take the place of one from
// there; until that one has gone there is one more.
func (l *loop) register(c *conn, req *wsproto.Request) (total, ofUser int, err error) {
	h := c.extra.hs
	if !h.ipFull || l.acquireIP(c) {
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
const maxEarly = wsproto.MaxHead

// heldRequest is a request that can't be answered in the turn that brought it.
type heldRequest struct {
	req   wsproto.Request // static; it holds nothing of the loop's buffers
	early []byte          // the loop's: what came behind the head

	counted bool // the loop's: it is in the gauge of those that wait for the feed
}

// size is how many bytes are kept for it.
func (a *heldRequest) size() int { return heldRequestSize + a.req.Size() + cap(a.early) }

// heldRequestSize is that of an asked, and of what holds it.
const heldRequestSize = int(unsafe.Sizeof(authJob{}))

// saveEarly keeps what a client sends that has not got its answer yet.
func (l *loop) saveEarly(c *conn, a *heldRequest, b []byte) {
	if len(a.early)+len(b) > maxEarly {
		l.respondError(c, a.req, wsproto.RefuseEarly())
		return
	}
	a.early = append(a.early, b...)
	l.growBytes(c, a.size())
}
