package netpoll

import (
	"bytes"
	"roost/wsproto/handshake"
)

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

// subscribe acquires a subscription for the user, and admits the connection once the user is subscribed, which may be at
// once. The client's own onopen may cause a notification: so the user is subscribed first, the connection is registered
// second, and the 101 is written third, the last two while the loop's lock is held.
func (h *pendingHandshake) subscribe(req handshake.Request, more []byte) {
	c, l, s := h.conn, h.conn.loop, h.conn.loop.server
	if !c.selfCheck && s.cfg.Hub.Full(req.User) {
		// The hub would refuse it in the end: subscribing would be for nothing.
		h.respondError(req, handshake.RefuseFull(s.retryAfter()))
		return
	}
	if h.admitSubscribed(req, more) {
		return
	}
	h.held = &heldRequest{req: req}
	h.setState(stateSubscribing, authenticatedWeight)
	if len(more) > maxEarly {
		h.respondError(req, handshake.RefuseEarly())
		return
	}
	h.held.req.Detach() // the loop's buffers are used for others from here on
	h.held.early = bytes.Clone(more)
	h.held.counted = true
	l.stats.Subscribing.Add(1)
	// One tick less, because setTimer rounds up. The timer still stands at the handshake deadline.
	latest := s.now() + s.cfg.SubscribeWait - s.tickLength
	c.setTimer(min(latest, s.moment(l.wheel.At(c))))
	h.growBytes()
}

// admitSubscribed acquires a subscription and admits a connection that need not wait, as nearly all. It returns false for
// one that has to wait. A subscription that is acquired without an admission is released, also after a panic.
func (h *pendingHandshake) admitSubscribed(req handshake.Request, more []byte) (done bool) {
	subscriptions := h.conn.loop.server.cfg.Subscriptions
	release := true
	defer func() {
		if release {
			subscriptions.Release(req.User)
		}
	}()
	if !subscriptions.Acquire(req.User, h.conn) {
		release = false // cleanup releases it, as that of an open connection
		return false
	}
	release = !h.admit(req, more)
	return true
}

// Subscribed implements Waiter. A connection waits once in its life. A connection that is open already was admitted
// without a subscription, and may have missed something from its 101 on.
func (c *conn) Subscribed() {
	s := c.loop.server
	c.loop.do(func() {
		defer c.guard()
		switch {
		case c.state == stateSubscribing:
			c.extra.hs.subscribed(true)
		case c.state == stateOpen && s.cfg.GapNotice && !c.selfCheck:
			opened := s.cfg.Now().Add(s.conns.Opened(c.fd) - s.now())
			c.sendGapNotice(gapRedis, opened, appendGap(nil, gapRedis, opened))
		}
	})
}

// subscribed goes on with a handshake that has waited, in time or not: a client that may miss what is published in its
// first moments is better off than one that is refused.
func (h *pendingHandshake) subscribed(inTime bool) {
	c, s := h.conn, h.conn.loop.server
	switch {
	case c.selfCheck:
	case s.draining.Load():
		h.respondError(h.held.req, handshake.RefuseDraining(s.retryAfter()))
		return
	case !inTime:
		c.loop.stats.Unsubscribed.Add(1)
	}
	h.admit(h.held.req, h.held.early)
}

// releaseSubscription takes the Acquire of a connection back, if there was one. It is called before a connection leaves a
// state in which it holds one: stateSubscribing, unless a 101 ends that, and stateOpen, in which the hub may have removed
// the connection already.
func (c *conn) releaseSubscription() {
	subscriptions := c.loop.server.cfg.Subscriptions
	if subscriptions == nil {
		return
	}
	switch c.state {
	case stateSubscribing:
		subscriptions.Release(c.extra.hs.held.req.User)
	case stateOpen:
		subscriptions.Release(c.link.User())
	}
}
