package netpoll

// When sockets run out, by our own count (Rules.MaxSockets) or the kernel's, those
// that are no connections make room for the next: so that who asks for something is
// answered, /health above all, whatever strangers leave open.

// makeRoom closes a socket that is no connection: one of the loop's own, or, where it
// has none, of another loop, soon. It reports whether there is one.
func (l *loop) makeRoom() bool {
	if l.evict() {
		return true
	}
	var best *loop
	for _, other := range l.server.loops {
		if other != l && (best == nil || other.evictable() > best.evictable()) {
			best = other
		}
	}
	if best == nil || best.evictable() == 0 {
		return false
	}
	best.do(func() { best.evict() })
	return true
}

// evictable is how many sockets the loop has that are no connections. Any goroutine.
func (l *loop) evictable() int64 {
	st := &l.stats
	return st.opening.Load() + st.checking.Load() + st.awaiting.Load() + st.ending.Load()
}

// evict closes one of the loop's sockets that are no connections. One that lingers goes
// first: it has had its answer. Then it is the turn of who has more of them: those that
// end, but still have something to get, and pending handshakes.
func (l *loop) evict() bool {
	pending := l.pendingSockets.greediest()
	switch {
	case l.lingering.first != nil:
		l.cutLingering()
	case l.closing.first != nil && int64(l.closing.n) >= l.pendingNow():
		c := l.closing.first
		l.server.accepts.turnedAway[awayClosing].Add(1)
		l.drop(c, c.reason)
	case pending != nil:
		l.evictPending(pending.c, awayCrowdedOut)
	default:
		return false
	}
	return true
}

// pendingNow is how many handshakes of the loop are pending.
func (l *loop) pendingNow() int64 {
	return l.stats.opening.Load() + l.stats.checking.Load() + l.stats.awaiting.Load()
}

// freeDescriptor frees a descriptor for a client that waits to be accepted, and reports
// whether it did.
func (l *loop) freeDescriptor() bool {
	if l.lingering.first != nil {
		l.cutLingering()
		return true
	}
	return l.server.reserve.lend() || l.evict()
}
