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

	place entry // in the loop's pendingSockets
	kept  entry // in its pendingBytes, while more is kept than this

	head    []byte // opening: the beginning of a request head that comes in pieces, its PROXY header included
	scanned int    // opening: bytes of it in which the end has been looked for
	asks    bool   // opening: head holds more than a PROXY header
	check   *check // checking: the token that a worker has
	awaits  *asked // awaiting: whom the feed shall hear

	addressFull bool // the client's address has as many connections as it may
}

// pendingSize is what is kept for each pending handshake at least, in bytes.
const pendingSize = int(unsafe.Sizeof(conn{}) + unsafe.Sizeof(part{}) + unsafe.Sizeof(handshake{}))

// How much of a place a pending handshake takes. One that has shown a good token goes
// later than strangers.
const (
	strangersPlace = 2
	knownPlace     = 1
)

// beginPending makes a connection that was just opened a pending handshake.
func (l *loop) beginPending(c *conn, peer netip.AddrPort) {
	c.part = l.getPart()
	h := l.getHandshake()
	h.peer, h.client, h.source = peer, peer, sourceOf(peer.Addr())
	c.part.hs = h
	l.stats.opening.Add(1)
	l.stats.pendingBytes.Add(int64(pendingSize))
	l.pendingSockets.add(&h.place, c, h.source, strangersPlace)
	l.noteGreed()
}

// noteGreed publishes how much the source has that has most pending handshakes.
func (l *loop) noteGreed() { l.stats.greed.Store(int32(l.pendingSockets.topRank())) }

// setClient says who the client is, now that it is known better.
func (h *handshake) setClient(client netip.AddrPort) {
	if client != h.client {
		h.client, h.source = client, sourceOf(client.Addr())
	}
}

// stayPending moves a handshake to its next state. Its place is from now on among those of the
// client that it was found to be.
func (l *loop) stayPending(c *conn, next state, place int) {
	l.leaveState(c)
	l.place(c, place)
	c.state = next
}

// place says how much of a place a pending handshake takes, among those of its client.
func (l *loop) place(c *conn, size int) {
	h := c.part.hs
	if h.place.account.source == h.source {
		l.pendingSockets.set(&h.place, size)
	} else {
		l.pendingSockets.remove(&h.place)
		l.pendingSockets.add(&h.place, c, h.source, size)
	}
	l.noteGreed()
}

// leaveState counts that a pending handshake leaves the state that it is in, and lets
// go of what it had for that.
func (l *loop) leaveState(c *conn) {
	h := c.part.hs
	switch c.state {
	case stateOpening:
		l.forgetHead(c)
		l.stats.opening.Add(-1)
	case stateChecking:
		l.stats.checking.Add(-1)
		l.server.checkers.forget(h.check)
		h.check = nil
	case stateAwaiting:
		if h.awaits.counted {
			l.stats.awaiting.Add(-1)
		}
		h.awaits = nil
	}
}

// endPending is called for a connection that is about to be none of the pending ones any
// more; for one that is none it does nothing.
func (l *loop) endPending(c *conn) {
	if c.part == nil || c.part.hs == nil {
		return
	}
	h := c.part.hs
	l.leaveState(c)
	l.setKept(c, 0)
	l.pendingSockets.remove(&h.place)
	l.noteGreed()
	l.stats.pendingBytes.Add(-int64(pendingSize))
	c.part.hs = nil
	l.putHandshake(h)
}

// setKept says how many bytes are kept for a pending handshake beyond pendingSize.
func (l *loop) setKept(c *conn, n int) {
	h := c.part.hs
	l.stats.pendingBytes.Add(int64(n - int(h.kept.held)))
	switch {
	case n == 0:
		l.pendingBytes.remove(&h.kept)
	case h.kept.account == nil || h.kept.account.source != h.source:
		l.pendingBytes.remove(&h.kept)
		l.pendingBytes.add(&h.kept, c, h.source, n)
	default:
		l.pendingBytes.set(&h.kept, n)
	}
}

// keep is setKept for a handshake that stays pending. Where that is more than there may be,
// those that hold most make room: it may be this one.
func (l *loop) keep(c *conn, n int) {
	l.setKept(c, n)
	share := l.server.rules.Load().pendingShare
	for share > 0 && l.stats.pendingBytes.Load() > int64(share) {
		e := l.pendingBytes.greediest()
		if e == nil {
			e = l.pendingSockets.greediest()
		}
		if e == nil {
			return
		}
		l.evictPending(e.c, awayBytes)
	}
}

// evictPending ends a pending handshake at once, to make room. Who has asked for
// something is told so.
func (l *loop) evictPending(c *conn, why turnedAway) {
	defer l.guard(c) // it has nothing to do with whose turn it is
	l.server.accepts.turnedAway[why].Add(1)
	h := c.part.hs
	switch c.state {
	case stateChecking:
		l.answerAndDrop(c, h.check.req, wsproto.RefuseFull(l.server.retryAfter()))
	case stateAwaiting:
		l.answerAndDrop(c, h.awaits.req, wsproto.RefuseFull(l.server.retryAfter()))
	default:
		l.drop(c, ReasonHandshake)
	}
}
