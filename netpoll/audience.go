package netpoll

// Audience is told for whom notifications have to be heard, one user at a time. Where everything is heard anyway,
// nobody has to be told.
//
// Both methods are called with a loop's turn taken, so neither may wait: not for the network, and not for a lock that
// is held while something is delivered. Leave is called by Server.Flush too, when writing ends a connection: whoever
// delivers holds no lock of theirs at that time.
type Audience interface {
	// Join says that there is one more connection of user, or handshake that may become one. It reports whether what
	// is published for user from now on will be heard, or waiting for that is of no use: nothing is heard of anybody.
	// If not, waiter.Heard is called when either has become true; it may be called before Join returns, and for a
	// connection that has left since.
	Join(user string, waiter Waiter) bool

	// Leave takes one Join back. There is exactly one for each.
	Leave(user string)
}

// Waiter is a handshake that waits until what is published for its user will be heard.
type Waiter interface {
	// Heard ends the waiting, once. It waits for nothing. Where it comes when the handshake has gone on without, that
	// connection is told of a gap, with Config.GapNotice; where it is gone, nothing is done. Any goroutine may call it,
	// with locks of its own held.
	Heard()
}

// leaveAudience takes back that a connection was joined, where it was. It is called for each connection that is about
// to leave the states in which it is: stateAwaiting, unless that ends with a 101, and stateOpen, in which the hub may
// have forgotten it already.
func (l *loop) leaveAudience(c *conn) {
	audience := l.server.cfg.Audience
	if audience == nil {
		return
	}
	switch c.state {
	case stateAwaiting:
		audience.Leave(c.part.hs.awaits.req.User)
	case stateOpen:
		audience.Leave(c.link.User())
	}
}
