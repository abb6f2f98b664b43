package netpoll

// When sockets run out, by our own count (Rules.MaxSockets) or the kernel's, those
// that are no connections make room for the next: so that who asks for something is
// answered, /health above all, whatever strangers leave open.

// freeSocket closes a socket that is no connection, of the loop where those are that shall go
// first. It reports whether that is done, or will be soon because that loop is at work.
func (l *loop) freeSocket() (now, soon bool) {
	best := l
	for _, other := range l.server.loops {
		if other.evictable() > best.evictable() {
			best = other
		}
	}
	switch {
	case best == l:
		return l.evict(), false
	case best.mu.TryLock(): // never Lock: it may wait for this one
		defer best.mu.Unlock()
		return best.evict(), false
	case l.evict():
		return true, false
	}
	best.do(func() { best.evict() })
	return false, true
}

// evictable says how soon sockets of the loop shall go: the higher the sooner, 0 that it has
// none. Any goroutine.
func (l *loop) evictable() int {
	st := &l.stats
	lingering := st.lingering.Load()
	if lingering > 0 {
		return maxRank
	}
	return max(int(st.pendingRank.Load()), rankOf(unknownWeight*int(st.closing.Load()-lingering)))
}

// evict closes one of the loop's sockets that are no connections. One that lingers goes
// first: it has had its answer. Then it is the turn of who has more of them: those that
// end, but still have something to get, or a source of pending handshakes.
func (l *loop) evict() bool {
	pending := l.pending.greediest()
	switch {
	case l.lingering.first != nil:
		l.closeOldestLingering()
	case l.closing.first != nil && rankOf(unknownWeight*l.closing.n) >= l.pending.topRank():
		c := l.closing.first
		defer c.guard() // it has nothing to do with whose turn it is
		l.server.accepts.unanswered[unansweredClosing].Add(1)
		c.closeNow(c.reason)
	case pending != nil:
		pending.c.evictHandshake(unansweredCrowdedOut)
	default:
		return false
	}
	return true
}

// pendingCount is how many handshakes of the loop are pending.
func (l *loop) pendingCount() int64 {
	return l.stats.requests.Load() + l.stats.authenticating.Load() + l.stats.subscribing.Load()
}

// hasDescriptor reports whether a pending handshake may keep its descriptor: where that is
// the last one, which was kept aside for answers, another socket has to make room.
func (c *conn) hasDescriptor() bool {
	l := c.loop
	if l.server.spareFD.refill() {
		return true
	}
	l.pending.remove(&c.extra.hs.weight) // it shall not be this one
	l.publishPending()
	l.freeSocket()
	return l.server.spareFD.refill()
}

// freeDescriptor frees a descriptor for a client that waits to be accepted, and reports
// whether it did. The one that is kept aside serves before handshakes have to make room.
func (l *loop) freeDescriptor() bool {
	if l.lingering.first == nil && l.server.spareFD.use() {
		return true
	}
	now, _ := l.freeSocket()
	return now
}
