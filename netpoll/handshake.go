package netpoll

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"net/netip"
	"unsafe"

	"roost/hub"
	"roost/netpoll/internal/iplimit"
	"roost/netpoll/internal/ledger"
	"roost/netpoll/proxyproto"
	"roost/wsproto/handshake"
)

// pendingHandshake is what a connection needs from accept until it is admitted or refused: until then it is a pending
// handshake. Its loop owns it, and keeps some for reuse.
type pendingHandshake struct {
	conn *conn // static

	peer   netip.AddrPort // the other end of the socket; the zero value if it was gone at once
	client netip.AddrPort // for limits and log lines: peer, or the client that a trusted proxy names, with port 0 if unknown
	source iplimit.Source // of client

	weight ledger.Entry[conn] // in loop.pending
	bytes  ledger.Entry[conn] // in loop.pendingBytes, while more than pendingSize is kept

	tls       *tlsJob        // stateTLS, from behind the PROXY header on
	tlsRuns   uint8          // how often the workers had it
	tlsSource iplimit.Source // for whom: X-Forwarded-For may name another client later

	head      []byte // stateRequest: the beginning of a request head that comes in pieces, its PROXY header included; stateTLS: that
	scanned   int    // stateRequest: bytes of head in which the end has been looked for
	requested bool   // head holds more than a PROXY header; stateTLS: something of the handshake came

	held *heldRequest // stateAuthenticating, stateSubscribing
	job  *authJob     // stateAuthenticating: the job that held belongs to

	ipFull bool // the client's address has as many connections as it may
}

// newHandshake returns the handshake of a connection whose socket was just accepted.
func (l *loop) newHandshake(c *conn, peer netip.AddrPort) *pendingHandshake {
	h := l.handshakePool.get()
	h.conn, h.peer, h.client, h.source = c, peer, peer, iplimit.SourceOf(peer.Addr())
	l.stats.Pending.Add(1)
	l.stats.PendingBytes.Add(int64(pendingSize))
	l.pending.Add(&h.weight, c, h.source, unknownWeight)
	l.publishPending()
	return h
}

// read takes bytes of a request head, with the PROXY header before it if there must be one. Nothing is parsed before
// the head is complete, and the bytes are copied only if the head comes in pieces. Of a PROXY header only the bytes are
// kept: it is parsed again with each piece.
func (h *pendingHandshake) read(b []byte) {
	if h.head != nil {
		b = append(h.head, b...)
	}
	secure, size := h.conn.secure(), 0
	if h.conn.loop.server.cfg.ProxyProtocol && !secure { // else it came before the TLS handshake
		var ok bool
		if size, ok = h.readProxyHeader(b); !ok {
			return
		}
	}
	head := b[size:]
	if !secure && looksLikeTLS(head) {
		h.closeUnanswered(unansweredTLSToPlain)
		return
	}
	end := handshake.HeadEnd(head, h.scanned-size)
	switch {
	case end > handshake.MaxHead || (end == 0 && len(head) >= handshake.MaxHead):
		h.respondHeadError(handshake.RefuseHeadTooLarge(), ReasonAnswered)
	case end == 0:
		h.saveHead(b, len(head) > 0)
	default:
		if h.head != nil {
			h.freeHead()
		}
		h.dispatch(head[:end], head[end:])
	}
}

// Behind a proxy the other end of the socket is the proxy. The client is named by a PROXY header before the request, or
// by X-Forwarded-For in it; both count only from addresses that the upgrader trusts.
//
// With Config.ProxyProtocol a trusted address has to send the header, and no other address may: a receiver "MUST not try
// to guess whether the protocol header is present or not" (section 2 of the specification). If the header names a trusted
// proxy in turn, the X-Forwarded-For of that proxy counts.

// readProxyHeader reads the PROXY header at the start of what a connection has sent, and returns its size, 0 if there
// must be none. ok is false when the header is not complete, or the connection has ended because of it: then the
// configuration is wrong, here or at the proxy, and no client gets in until it is put right.
func (h *pendingHandshake) readProxyHeader(b []byte) (size int, ok bool) {
	header, verdict := proxyproto.Parse(b)
	if !h.conn.loop.server.upgrader().Trusts(h.peer.Addr()) {
		if verdict == proxyproto.Complete { // it would fail as bad HTTP; this answer says why
			h.respondHeadError(handshake.RefuseProxyUntrusted(), ReasonAnswered)
		}
		return 0, verdict != proxyproto.Complete
	}
	switch verdict {
	case proxyproto.Complete:
		if header.Source.IsValid() {
			h.setClient(header.Source)
		}
		return header.Size, true
	case proxyproto.Incomplete:
		h.saveHead(b, false)
	case proxyproto.Missing:
		h.respondHeadError(handshake.RefuseProxyMissing(), ReasonAnswered)
	case proxyproto.Broken:
		h.respondHeadError(handshake.RefuseProxyInvalid(), ReasonAnswered)
	}
	return 0, false
}

// setClient names the client, once a proxy has.
func (h *pendingHandshake) setClient(client netip.AddrPort) {
	if client != h.client {
		h.client, h.source = client, iplimit.SourceOf(client.Addr())
	}
}

// saveHead keeps the beginning of a head until more of it comes. requested says whether b holds any of the request.
func (h *pendingHandshake) saveHead(b []byte, requested bool) {
	if h.head == nil {
		b = bytes.Clone(b)
	}
	h.head, h.scanned = b, len(b)
	if requested && !h.requested {
		h.requested = true
		h.conn.loop.stats.partialRequests.Add(1)
	}
	h.setWeight(unknownWeight)
	h.growBytes()
}

// freeHead frees what saveHead kept.
func (h *pendingHandshake) freeHead() {
	if h.requested {
		h.conn.loop.stats.partialRequests.Add(-1)
	}
	h.head, h.scanned, h.requested = nil, 0, false
	h.setBytes(h.keptBytes())
}

// dispatch does what a complete head asks for. more is what came behind it. A token that takes too long for a loop goes
// to a worker.
func (h *pendingHandshake) dispatch(head, more []byte) {
	s := h.conn.loop.server
	upgrader := s.upgrader()
	req, refusal := upgrader.Read(head)
	if address := upgrader.Client(&req, h.client.Addr()); address != h.client.Addr() {
		h.setClient(netip.AddrPortFrom(address, 0))
	}
	switch {
	case refusal != nil:
		h.respondError(req, refusal)
	case req.Kind == handshake.Health:
		status, body := s.cfg.Health()
		h.respondHealth(req, status, body)
	case req.Kind == handshake.Live:
		h.respondHealth(req, 200, s.cfg.Live)
	case req.Kind == handshake.Preflight:
		h.conn.closeWith(ReasonAnswered, req.AppendPreflight(h.conn.loop.scratch[:0]))
	default:
		refusal, later := upgrader.Identify(&req, s.cfg.Now())
		if later {
			h.authenticateAsync(req, more)
			return
		}
		h.authenticated(req, refusal, more)
	}
}

// authenticated goes on when the token has been checked: refusal says why it was not accepted. The connection is
// admitted, or waits for its user's subscription.
func (h *pendingHandshake) authenticated(req handshake.Request, refusal *handshake.Refusal, more []byte) {
	c, s := h.conn, h.conn.loop.server
	switch {
	case refusal != nil && refusal.Reason == handshake.ReasonKeyPending:
		h.respondError(req, handshake.RefuseKeyPending(refusal.Wait+s.jitter()))
		return
	case refusal != nil:
		h.respondError(req, refusal)
		return
	}
	if h.tlsRuns > 0 && !req.Probe {
		s.workers.verified(&s.workers.tls, h.tlsSource, int(h.tlsRuns), s.now())
		h.tlsRuns = 0
	}
	switch {
	case !req.Probe && h.handOverLate(nil, &req, more):
		return
	case s.draining.Load() && !req.Probe:
		h.respondError(req, handshake.RefuseDraining(s.retryAfter()))
		return
	case !req.Probe && s.handshakesExceeded(h.source):
		h.respondError(req, handshake.RefuseBusy(s.retryAfter()))
		return
	}
	c.selfCheck = req.Probe // before others can find the connection
	h.ipFull = !h.acquireIP()
	switch {
	case h.ipFull && !s.cfg.Hub.Replaces(req.User):
		h.respondError(req, handshake.RefuseAddressFull(s.retryAfter()))
	case s.cfg.Subscriptions != nil:
		h.subscribe(req, more)
	default:
		h.admit(req, more)
	}
}

// admit registers the connection first and answers second: a notification that the client's own onopen causes must find
// it, and since deliveries are items of the loop's mailbox they can't overtake the 101. It returns false when the
// connection is refused.
func (h *pendingHandshake) admit(req handshake.Request, more []byte) bool {
	c, l, s := h.conn, h.conn.loop, h.conn.loop.server
	if s.spareFD.inUse() && !h.freeSpareFD() {
		h.respondError(req, handshake.RefuseOpenFiles(s.retryAfter()))
		return false
	}
	c.stream = req.Kind == handshake.EventStream // before others can find the connection
	total, ofUser, welcome, err := h.register(&req)
	if err != nil {
		h.respondError(req, refusalOf(err, s))
		return false
	}
	now := s.now()
	if s.cfg.CloseOnExpiry {
		c.expires = expiryOf(req.Expires)
	}
	s.conns.SetOpened(c.fd, now)
	l.sent.Open(c.fd, s.cfg.Hub.Clock())
	client, peer := h.client, h.peer
	h.end()
	c.resetExtra()
	c.state = stateOpen
	accepted := c.lastRead
	c.lastRead, c.lastPing = instantOf(now), instantOf(now-rand.N(s.cfg.PingInterval)) // a storm of connects does not become a storm of pings
	if !c.selfCheck {
		l.stats.opened.Add(1)
		if c.stream {
			l.stats.EventStreams.Add(1)
			l.stats.StreamsOpened.Add(1)
		}
		l.server.lines.connected(c, client, peer, total, ofUser)
		l.noteOpened(c)
	}
	c.resetTimer(now)
	if welcome.Result == hub.ResumeRefused { // counted first: who has read the notice finds it counted
		l.stats.GapNotices.Add(1)
	}
	c.send(append(s.answer(l.scratch[:0], &req), c.translated(appendHello(nil, &welcome, c.tellExpiry(&req, &welcome)))...))
	c.replay(welcome.Missed)
	if !c.selfCheck {
		l.handshakes.Observe(accepted.ago(now), 1) // in milliseconds: the answer takes far less
	}
	if len(more) > 0 {
		c.receivedOpen(more)
	}
	return true
}

// errIPFull is returned by register when the client's address has as many connections as it may.
var errIPFull = errors.New("the address has too many connections")

// register registers the connection with the hub. If its address is full it may only replace a connection from the same
// address; until that has closed there is one more.
func (h *pendingHandshake) register(req *handshake.Request) (total, ofUser int, welcome hub.Welcome, err error) {
	c, s := h.conn, h.conn.loop.server
	arrival := hub.Arrival{User: req.User, Groups: req.Groups, Since: req.Since, WantsID: req.WantsID, Connection: req.Connection}
	if !h.ipFull || h.acquireIP() {
		return s.cfg.Hub.Arrive(c, arrival)
	}
	c.ipSlot, _ = s.perIP.Acquire(h.source, math.MaxInt)
	arrival.Replaces = func(oldest hub.Conn) bool {
		other, ok := oldest.(*conn)
		return ok && other.ipSlot == c.ipSlot // a connection frees its slot after it has left the hub
	}
	if total, ofUser, welcome, err = s.cfg.Hub.Arrive(c, arrival); err != nil && !errors.Is(err, hub.ErrBehind) {
		err = errIPFull
	}
	return total, ofUser, welcome, err
}

// acquireIP counts the connection against Rules.MaxPerIP, and reports whether its address may have one more.
func (h *pendingHandshake) acquireIP() bool {
	c := h.conn
	limit := c.loop.server.rules.Load().MaxPerIP
	if limit <= 0 || c.selfCheck {
		return true
	}
	var ok bool
	c.ipSlot, ok = c.loop.server.perIP.Acquire(h.source, limit)
	return ok
}

// refusalOf returns the answer to an error of register.
func refusalOf(err error, s *Server) *handshake.Refusal {
	switch {
	case errors.Is(err, errIPFull):
		return handshake.RefuseAddressFull(s.retryAfter())
	case errors.Is(err, hub.ErrBehind):
		return handshake.RefuseBusy(s.retryAfter())
	case errors.Is(err, hub.ErrUserFull):
		return handshake.RefuseUserFull(s.retryAfter())
	}
	return handshake.RefuseFull(s.retryAfter())
}

// maxEarly bounds the bytes that are kept for a client that sends frames before it has got its 101: RFC 6455 section 4.1
// has it wait.
const maxEarly = handshake.MaxHead

// heldRequest is a request that waits for a worker or for a subscription.
type heldRequest struct {
	req   handshake.Request // static; it holds nothing of the loop's buffers
	early []byte            // the loop's: what came behind the head

	counted bool // the loop's: it is counted in loopStats.subscribing
}

// size is the number of bytes that are kept for it.
func (r *heldRequest) size() int { return heldRequestSize + r.req.Size() + cap(r.early) }

// heldRequestSize is the size of a heldRequest and of the job around it.
const heldRequestSize = int(unsafe.Sizeof(authJob{}))

// saveEarly keeps what a client sends before it has got its answer.
func (h *pendingHandshake) saveEarly(b []byte) {
	r := h.held
	if len(r.early)+len(b) > maxEarly {
		h.respondError(r.req, handshake.RefuseEarly())
		return
	}
	r.early = append(r.early, b...)
	h.growBytes()
}

// setState moves a handshake to its next state. From now on it weighs among the handshakes of the client that it was
// found to come from.
func (h *pendingHandshake) setState(next state, weight int) {
	h.leaveState()
	h.setWeight(weight)
	h.conn.state = next
}

// leaveState uncounts a handshake from its state, and frees what it had for that.
func (h *pendingHandshake) leaveState() {
	stats := &h.conn.loop.stats
	switch h.conn.state {
	case stateTLS:
		h.leaveTLS()
	case stateRequest:
		if h.head != nil {
			h.freeHead()
		}
	case stateAuthenticating:
		stats.Authenticating.Add(-1)
		h.conn.loop.server.workers.remove(&h.conn.loop.server.workers.tokens, &h.job.job)
		h.job = nil
	case stateSubscribing:
		if h.held.counted {
			stats.Subscribing.Add(-1)
		}
	}
}

// end ends a pending handshake, because its connection is admitted or about to close.
func (h *pendingHandshake) end() {
	c, l := h.conn, h.conn.loop
	h.leaveState()
	h.setBytes(0)
	l.pending.Remove(&h.weight)
	l.publishPending()
	l.stats.Pending.Add(-1)
	l.stats.PendingBytes.Add(-int64(pendingSize))
	c.extra.hs = nil
	l.handshakePool.put(h)
}
