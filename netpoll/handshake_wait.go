package netpoll

import (
	"bytes"

	"roost/wsproto/handshake"
)

// A handshake whose user's notifications are not heard yet waits for that, because the client's own onopen may cause
// one: subscribed first, registered second, answered third. Only then the connection is in the hub, and since that
// and the 101 are one turn, deliveries can't overtake it.

// subscribe acquires a subscription, and admits the connection when its user is subscribed. That may be at once.
func (c *conn) subscribe(req handshake.Request, more []byte) {
	l := c.loop
	if !c.selfCheck && l.server.cfg.Hub.Full(req.User) {
		// The hub would say so in the end; but nobody need subscribe to hear that.
		c.respondError(req, handshake.RefuseFull(l.server.retryAfter()))
		return
	}
	if c.admitSubscribed(req, more) {
		return
	}
	w := &heldRequest{req: req}
	c.extra.hs.waiting = w
	c.setHandshakeState(stateSubscribing, authenticatedWeight)
	if len(more) > maxEarly {
		c.respondError(req, handshake.RefuseEarly())
		return
	}
	w.req.Detach() // the loop's buffers are somebody else's from the next turn on
	w.early = bytes.Clone(more)
	w.counted = true
	l.stats.subscribing.Add(1)
	// A tick less, because at takes the next one. The timer stands at the handshake deadline.
	latest := l.server.now() + l.server.cfg.SubscribeWait - l.server.tickLength
	c.setTimer(min(latest, l.server.moment(l.wheel.At(c))))
	c.growBytes(w.size())
}

// admitSubscribed acquires a subscription and admits a connection that need not wait, as nearly all. It is false for one
// that has to wait. A subscription that is acquired without an admission is released, also when something fails.
func (c *conn) admitSubscribed(req handshake.Request, more []byte) (done bool) {
	leave := true
	defer func() {
		if leave {
			c.loop.server.cfg.Subscriptions.Release(req.User)
		}
	}()
	if !c.loop.server.cfg.Subscriptions.Acquire(req.User, c) {
		leave = false // it leaves when it ends, as an open one does
		return false
	}
	leave = !c.admit(req, more)
	return true
}

// Subscribed implements Waiter. A connection waits once in its life. One that is open already was let in without, and may
// have missed something from its 101 on.
func (c *conn) Subscribed() {
	l := c.loop
	l.do(func() {
		defer c.guard()
		switch {
		case c.state == stateSubscribing:
			c.subscribed(true)
		case c.state == stateOpen && l.server.cfg.GapNotice && !c.selfCheck:
			opened := l.server.cfg.Now().Add(l.server.conns.Opened(c.fd) - l.server.now())
			c.sendGapNotice(gapRedis, opened, appendGap(nil, gapRedis, opened))
		}
	})
}

// subscribed goes on with a handshake that has waited, whether its user is heard by now or not: better a client that may
// miss what comes within its first moments than one that is not let in.
func (c *conn) subscribed(heard bool) {
	switch {
	case c.selfCheck:
	case c.loop.server.draining.Load():
		c.respondDraining()
		return
	case !heard:
		c.loop.stats.unsubscribed.Add(1)
	}
	w := c.extra.hs.waiting
	c.admit(w.req, w.early)
}

// respondDraining ends a handshake that waits, because the server ends.
func (c *conn) respondDraining() {
	c.respondError(c.extra.hs.waiting.req, handshake.RefuseDraining(c.loop.server.retryAfter()))
}

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
func (c *conn) releaseSubscription() {
	subscriptions := c.loop.server.cfg.Subscriptions
	if subscriptions == nil {
		return
	}
	switch c.state {
	case stateSubscribing:
		subscriptions.Release(c.extra.hs.waiting.req.User)
	case stateOpen:
		subscriptions.Release(c.link.User())
	}
}
