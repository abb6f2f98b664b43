package netpoll

import (
	"net/netip"
	"unsafe"

	"roost/wsproto/handshake"
)

// A handshake is pending from accept until its connection is admitted or refused: its
// head is not complete, or its token is being checked, or its user is not heard yet.
// Anybody can begin as many as he likes. So what they may have together is bounded, in
// sockets (Rules.MaxSockets) and in bytes (Rules.PendingTotal), and beyond either who
// has most makes room: of the source that holds most the one that has waited longest.
// Those who only ever begin get in each other's way, and not in that of others.

// pendingHandshake is what one needs. A loop has some in store.
type pendingHandshake struct {
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
const pendingSize = int(unsafe.Sizeof(conn{}) + unsafe.Sizeof(extra{}) + unsafe.Sizeof(pendingHandshake{}))

// How much of a place a pending handshake takes. One that has shown a good token goes
// later than strangers.
const (
	unknownWeight       = 2
	authenticatedWeight = 1
)

// startHandshake makes a connection that was just opened a pending handshake.
func (c *conn) startHandshake(peer netip.AddrPort) {
	l := c.loop
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
func (h *pendingHandshake) setClient(client netip.AddrPort) {
	if client != h.client {
		h.client, h.source = client, sourceOf(client.Addr())
	}
}

// setHandshakeState moves a handshake to its next state. Its place is from now on among those of the
// client that it was found to be.
func (c *conn) setHandshakeState(next state, place int) {
	c.leaveState()
	c.setWeight(place)
	c.state = next
}

// setWeight says how much of a place a pending handshake takes, among those of its client.
func (c *conn) setWeight(size int) {
	l := c.loop
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
func (c *conn) leaveState() {
	l := c.loop
	h := c.extra.hs
	switch c.state {
	case stateRequest:
		c.freeHead()
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
func (c *conn) endHandshake() {
	l := c.loop
	if c.extra == nil || c.extra.hs == nil {
		return
	}
	h := c.extra.hs
	c.leaveState()
	c.setBytes(0)
	l.pending.remove(&h.weight)
	l.publishPending()
	l.stats.pendingBytes.Add(-int64(pendingSize))
	c.extra.hs = nil
	l.putHandshake(h)
}

// setBytes says how many bytes are kept for a pending handshake beyond pendingSize.
func (c *conn) setBytes(n int) {
	l := c.loop
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
func (c *conn) growBytes(n int) {
	l := c.loop
	c.setBytes(n)
	share := l.server.rules.Load().pendingShare
	for share > 0 && l.stats.pendingBytes.Load() > int64(share) {
		e := l.pendingBytes.greediest()
		if e == nil {
			e = l.pending.greediest()
		}
		if e == nil {
			return
		}
		e.c.evictHandshake(unansweredBytes)
	}
}

// evictHandshake ends a pending handshake at once, to make room. Who has asked for
// something is told so.
func (c *conn) evictHandshake(why unanswered) {
	l := c.loop
	defer c.guard() // it has nothing to do with whose turn it is
	l.server.accepts.unanswered[why].Add(1)
	h := c.extra.hs
	switch c.state {
	case stateAuthenticating:
		c.respondErrorNow(h.authJob.req, handshake.RefuseFull(l.server.retryAfter()))
	case stateSubscribing:
		c.respondErrorNow(h.waiting.req, handshake.RefuseFull(l.server.retryAfter()))
	default:
		c.closeNow(ReasonHandshake)
	}
}
