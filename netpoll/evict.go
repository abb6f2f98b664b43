package netpoll

import (
	"unsafe"

	"roost/netpoll/internal/ledger"
	"roost/wsproto/handshake"
)

// Pending handshakes together are bounded, in sockets (Rules.MaxSockets) and in bytes (Rules.PendingTotal), because
// anybody can begin any number of them. Beyond either bound the source that has most loses the one that has waited
// longest: clients that only begin handshakes hinder each other, and no one else.
//
// When sockets run out, by our own count or the kernel's, sockets that are not connections make room for the next. So
// requests are answered, /health above all, however many sockets strangers leave open.

// pendingSize is the number of bytes that each pending handshake takes at least.
const pendingSize = int(unsafe.Sizeof(conn{}) + unsafe.Sizeof(extra{}) + unsafe.Sizeof(pendingHandshake{}))

// The weights of pending handshakes. One with a good token is evicted later than others.
const (
	unknownWeight       = 2
	authenticatedWeight = 1
)

// setWeight sets what a pending handshake weighs, among those of its client.
func (h *pendingHandshake) setWeight(weight int) {
	l := h.conn.loop
	if h.weight.Source() == h.source {
		l.pending.Set(&h.weight, weight)
	} else {
		l.pending.Remove(&h.weight)
		l.pending.Add(&h.weight, h.conn, h.source, weight)
	}
	l.publishPending()
}

// publishPending publishes the rank of the source with the most pending handshakes, for other loops.
func (l *loop) publishPending() { l.stats.pendingRank.Store(int32(l.pending.TopRank())) }

// keptBytes is how many bytes are kept for a pending handshake beyond pendingSize.
func (h *pendingHandshake) keptBytes() int {
	n := cap(h.head) + cap(h.conn.extra.record)
	if h.tls != nil {
		n += h.tls.size()
	}
	if h.held != nil {
		n += h.held.size()
	}
	if heavy := h.conn.loop.server.heavies.Get(h.conn.fd); heavy != nil {
		n += heavy.Held()
	}
	return n
}

// setBytes counts what is kept for a pending handshake beyond pendingSize.
func (h *pendingHandshake) setBytes(n int) {
	l := h.conn.loop
	l.stats.PendingBytes.Add(int64(n - h.bytes.Held()))
	switch {
	case n == 0:
		l.pendingBytes.Remove(&h.bytes)
	case !h.bytes.In() || h.bytes.Source() != h.source:
		l.pendingBytes.Remove(&h.bytes)
		l.pendingBytes.Add(&h.bytes, h.conn, h.source, n)
	default:
		l.pendingBytes.Set(&h.bytes, n)
	}
}

// growBytes counts what is kept for a handshake that stays pending. Above the loop's share those that hold most are evicted; this
// may be one of them.
func (h *pendingHandshake) growBytes() {
	l := h.conn.loop
	h.setBytes(h.keptBytes())
	share := l.server.rules.Load().pendingShare
	for share > 0 && l.stats.PendingBytes.Load() > int64(share) {
		e := l.pendingBytes.Greediest()
		if e == nil {
			e = l.pending.Greediest()
		}
		if e == nil {
			return
		}
		e.Owner().extra.hs.evict(unansweredBytes)
	}
}

// evict ends a pending handshake at once. A client that has sent a complete request gets an answer, without the server
// waiting for it: what the kernel does not take at once is lost.
func (h *pendingHandshake) evict(why unanswered) {
	c, l := h.conn, h.conn.loop
	defer c.guard() // it is not the connection that the loop is serving
	l.server.accepts.unanswered[why].Add(1)
	if h.held == nil {
		c.closeNow(ReasonHandshake)
		return
	}
	c.sendOnce(l.errorResponse(h.held.req, handshake.RefuseFull(l.server.retryAfter())))
	c.closeNow(ReasonAnswered)
}

// evictSocket closes a socket that is not a connection, of the loop that has the most evictable one. It reports whether
// that is done now, or will be soon because that loop is busy.
func (l *loop) evictSocket() (now, soon bool) {
	best := l
	for _, other := range l.server.loops {
		if other.evictable() > best.evictable() {
			best = other
		}
	}
	switch {
	case best == l:
		return l.evictOwn(), false
	case best.mu.TryLock(): // never Lock: the other loop may be waiting for this one
		defer best.mu.Unlock()
		return best.evictOwn(), false
	case l.evictOwn():
		return true, false
	}
	best.do(func() { best.evictOwn() })
	return false, true
}

// evictable ranks the loop's sockets for eviction: the highest rank goes first, and 0 means that there are none. Any
// goroutine.
func (l *loop) evictable() int {
	st := &l.stats
	lingering := st.Lingering.Load()
	if lingering > 0 {
		return ledger.MaxRank
	}
	return max(int(st.pendingRank.Load()), ledger.RankOf(unknownWeight*int(st.closing.Load()-lingering)))
}

// evictOwn closes one of the loop's own sockets that are not connections. A lingering one goes first: it has had its
// answer. Then comes whichever are more: closing connections that still have something to get, or the pending handshakes
// of one source.
func (l *loop) evictOwn() bool {
	pending := l.pending.Greediest()
	switch {
	case l.lingering.Len() > 0:
		l.closeOldestLingering()
	case l.closing.Len() > 0 && ledger.RankOf(unknownWeight*l.closing.Len()) >= l.pending.TopRank():
		c := l.closing.First().conn
		defer c.guard() // it is not the connection that the loop is serving
		l.server.accepts.unanswered[unansweredClosing].Add(1)
		c.closeNow(c.reason)
	case pending != nil:
		pending.Owner().extra.hs.evict(unansweredCrowdedOut)
	default:
		return false
	}
	return true
}

// freeSpareFD evicts a socket when a pending handshake has got the last descriptor, which was kept aside for answers. It
// reports whether the handshake may keep its own.
func (h *pendingHandshake) freeSpareFD() bool {
	l := h.conn.loop
	if l.server.spareFD.refill() {
		return true
	}
	l.pending.Remove(&h.weight) // it must not be evicted itself
	l.publishPending()
	l.evictSocket()
	return l.server.spareFD.refill()
}

// freeDescriptor frees a descriptor for a client that waits to be accepted, and reports whether it did. The spare one is
// used before a handshake is evicted.
func (l *loop) freeDescriptor() bool {
	if l.lingering.Len() == 0 && l.server.spareFD.use() {
		return true
	}
	now, _ := l.evictSocket()
	return now
}
