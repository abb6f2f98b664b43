package netpoll

import (
	"net/netip"
	"unsafe"

	"roost/wsproto"
)

// A handshake is pending from accept until its connection is admitted or refused: its
// head is not complete, or its token is being checked, or its user is not heard yet.
// Anybody can begin as many as he likes. So what they may have together is bounded, in
// sockets (Rules.MaxSockets) and in bytes (Rules.PendingTotal), and beyond either who
// has most makes room: of the source that holds most the one that has waited longest.
// Those who only ever begin get in each other's way, and not in that of others.

// handshake is what a pending one needs. A loop has some in store.
type handshake struct {
	peer   netip.AddrPort // the other end of the socket; the zero value if it was gone at once
	client netip.AddrPort // who that is for limits and lines: peer, or whom a trusted proxy names; port 0: not known
	source source         // of client, as far as it is known

	weight entry // in the loop's pendingSockets
	bytes  entry // in its pendingBytes, while more is kept than this

	head      []byte       // opening: the beginning of a request head that comes in pieces, its PROXY header included
	scanned   int          // opening: bytes of it in which the end has been looked for
	requested bool         // opening: head holds more than a PROXY header
	authJob   *authJob     // checking: the token that a worker has
	waiting   *heldRequest // awaiting: whom the feed shall hear

	ipFull bool // the client's address has as many connections as it may
}

// pendingSize is what is kept for each pending handshake at least, in bytes.
const pendingSize = int(unsafe.Sizeof(conn{}) + unsafe.Sizeof(extra{}) + unsafe.Sizeof(handshake{}))

// How much of a place a pending handshake takes. One that has shown a good token goes
// later than strangers.
const (
	unknownWeight       = 2
	authenticatedWeight = 1
)

// startHandshake makes a connection that was just opened a pending handshake.
func (l *loop) startHandshake(c *conn, peer netip.AddrPort) {
	c.extra = l.getExtra()
	h := l.getHandshake()
	h.peer, h.client, h.source = peer, peer, sourceOf(peer.Addr())
	c.extra.hs = h
	l.stats.requests.Add(1)
	l.stats.pendingBytes.Add(int64(pendingSize))
	l.pending.add(&h.weight, c, h.source, unknownWeight)
	l.publishPending()
}

// publishPending publishes how much the source has that has most pending handshakes.
func (l *loop) publishPending() { l.stats.pendingRank.Store(int32(l.pending.topRank())) }

// setClient says who the client is, now that it is known better.
func (h *handshake) setClient(client netip.AddrPort) {
	if client != h.client {
		h.client, h.source = client, sourceOf(client.Addr())
	}
}

// setHandshakeState moves a handshake to its next state. Its place is from now on among those of the
// client that it was found to be.
func (l *loop) setHandshakeState(c *conn, next state, place int) {
	l.leaveState(c)
	l.setWeight(c, place)
	c.state = next
}

// setWeight says how much of a place a pending handshake takes, among those of its client.
func (l *loop) setWeight(c *conn, size int) {
	h := c.extra.hs
	if h.weight.account.source == h.source {
		l.pending.set(&h.weight, size)
	} else {
		l.pending.remove(&h.weight)
		l.pending.add(&h.weight, c, h.source, size)
	}
	l.publishPending()
}

// leaveState counts that a pending handshake leaves the state that it is in, and lets
// go of what it had for that.
func (l *loop) leaveState(c *conn) {
	h := c.extra.hs
	switch c.state {
	case stateRequest:
		l.freeHead(c)
		l.stats.requests.Add(-1)
	case stateAuthenticating:
		l.stats.authenticating.Add(-1)
		l.server.auth.remove(h.authJob)
		h.authJob = nil
	case stateSubscribing:
		if h.waiting.counted {
			l.stats.subscribing.Add(-1)
		}
		h.waiting = nil
	}
}

// endHandshake is called for a connection that is about to be none of the pending ones any
// more; for one that is none it does nothing.
func (l *loop) endHandshake(c *conn) {
	if c.extra == nil || c.extra.hs == nil {
		return
	}
	h := c.extra.hs
	l.leaveState(c)
	l.setBytes(c, 0)
	l.pending.remove(&h.weight)
	l.publishPending()
	l.stats.pendingBytes.Add(-int64(pendingSize))
	c.extra.hs = nil
	l.putHandshake(h)
}

// setBytes says how many bytes are kept for a pending handshake beyond pendingSize.
func (l *loop) setBytes(c *conn, n int) {
	h := c.extra.hs
	l.stats.pendingBytes.Add(int64(n - int(h.bytes.held)))
	switch {
	case n == 0:
		l.pendingBytes.remove(&h.bytes)
	case h.bytes.account == nil || h.bytes.account.source != h.source:
		l.pendingBytes.remove(&h.bytes)
		l.pendingBytes.add(&h.bytes, c, h.source, n)
	default:
		l.pendingBytes.set(&h.bytes, n)
	}
}

// growBytes is setKept for a handshake that stays pending. Where that is more than there may be,
// those that hold most make room: it may be this one.
func (l *loop) growBytes(c *conn, n int) {
	l.setBytes(c, n)
	share := l.server.rules.Load().pendingShare
	for share > 0 && l.stats.pendingBytes.Load() > int64(share) {
		e := l.pendingBytes.greediest()
		if e == nil {
			e = l.pending.greediest()
		}
		if e == nil {
			return
		}
		l.evictHandshake(e.c, unansweredBytes)
	}
}

// evictHandshake ends a pending handshake at once, to make room. Who has asked for
// something is told so.
func (l *loop) evictHandshake(c *conn, why unanswered) {
	defer l.guard(c) // it has nothing to do with whose turn it is
	l.server.accepts.unanswered[why].Add(1)
	h := c.extra.hs
	switch c.state {
	case stateAuthenticating:
		l.respondErrorNow(c, h.authJob.req, wsproto.RefuseFull(l.server.retryAfter()))
	case stateSubscribing:
		l.respondErrorNow(c, h.waiting.req, wsproto.RefuseFull(l.server.retryAfter()))
	default:
		l.closeNow(c, ReasonHandshake)
	}
}
