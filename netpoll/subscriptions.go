package netpoll

// Subscriptions counts the connections of each user, for a feed that subscribes user by user. A feed that hears
// everything anyway needs none.
//
// A loop calls both methods with its lock held, so neither may wait: not for the network, and not for a lock that is
// held while something is delivered. Server.Flush calls Release too, when writing ends a connection: whoever delivers
// holds no lock of theirs at that time.
type Subscriptions interface {
	// Acquire adds a connection of user, or a handshake that may become one. It returns true if what is published for
	// user from now on will arrive, or if waiting is of no use because no user is subscribed. Otherwise
	// waiter.Subscribed is called once either is true; it may be called before Acquire returns, and for a connection
	// that has been released since.
	Acquire(user string, waiter Waiter) bool

	// Release takes one Acquire back. There is exactly one for each.
	Release(user string)
}

// Waiter is a handshake that waits until its user is subscribed.
type Waiter interface {
	// Subscribed ends the waiting, once. It does not block. If the handshake has gone on without, the connection is
	// told of a gap, with Config.GapNotice; if it has ended, nothing is done. Any goroutine may call it, with locks of
	// its own held.
	Subscribed()
}

// releaseSubscription takes the Acquire of a connection back, if there was one. It is called for each connection that is
// about to leave a state in which it holds one: stateAwaiting, unless that ends with a 101, and stateOpen, in which the
// hub may have forgotten it already.
func (l *loop) releaseSubscription(c *conn) {
	subscriptions := l.server.cfg.Subscriptions
	if subscriptions == nil {
		return
	}
	switch c.state {
	case stateAwaiting:
		subscriptions.Release(c.part.hs.awaits.req.User)
	case stateOpen:
		subscriptions.Release(c.link.User())
	}
}
