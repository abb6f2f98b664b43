package netpoll

import (
	"time"

	"roost/hub"
	"roost/netpoll/internal/sendqueue"
	"roost/wsproto"
)

// dropNotification deals with a notification for which there is no room, or no more: it is
// counted, and the connection keeps going without it, or ends where Config.CloseSlow
// says so. A client is called slow only where it is, see sendqueue.Progress. Others lose
// something because more came at once than may wait, or because there was no memory.
func (c *conn) dropNotification(n *hub.Notification, why failure, now time.Duration) {
	l := c.loop
	slow := c.out.Progress.Slow(now)
	if slow && why == failedFull {
		why = failedSlow
	}
	c.failNotification(n, why)
	l.server.lossLog.warn(slow, c.link.User(), why, &c.out.Queue)
	switch {
	case !l.server.cfg.CloseSlow:
		if l.server.cfg.GapNotice && !c.selfCheck {
			c.out.noteLoss(l, n, slow)
		}
	case slow:
		c.endFull(ReasonSlow, wsproto.AppendClose(l.scratch[:0], closeSlow, "too slow: notifications were lost"))
	default:
		c.endFull(ReasonFull, wsproto.AppendClose(l.scratch[:0], closeFull, "too many notifications at once: some were lost"))
	}
}

const (
	// closeSlow is the close code of a slow consumer: that of an HTTP status of its kind, request time-out. 1013, try again
	// later, is taken for an error in the protocol by a good part of the client libraries, as 1012 is.
	closeSlow wsproto.CloseCode = 4408
	// closeFull is that of a client for which more came at once than may wait: as the status insufficient storage.
	closeFull wsproto.CloseCode = 4507
)

// endFull ends a connection that has lost a notification. Waiting notifications are given up, but for the rest of a frame
// that the client has a part of: after that only the close frame is written.
func (c *conn) endFull(why Reason, closeFrame []byte) {
	c.countFailed(failedClosed, c.out.DropWaiting(failureNames[failedClosed]))
	c.loop.rank(c.out)
	c.closeWith(why, closeFrame)
}

// Waiting notifications are bounded three times, in Rules: the bytes that wait for one connection, the notifications that
// wait for one whose client takes nothing, and the memory of all queues. A notification is lost only when the kernel has
// been offered what waits before it, and does not take enough.

const (
	// retryEvery is the least time between two attempts to write to a connection in
	// whose queue there is no room, if its client has taken nothing for a while. With
	// any other each notification that finds no room is one: epoll says that the
	// kernel takes more only behind the batch, of 512, and only when less than half of
	// TCP_NOTSENT_LOWAT waits.
	retryEvery = time.Millisecond

	// shedMost bounds how many notifications are dropped in a row. Each of them was
	// let in before, so that this is reached only where QueueTotal was made smaller.
	shedMost = 256

	// reserveShare is which part of QueueTotal is kept for the moments until another
	// loop has shed what it was asked to.
	reserveShare = 16
)

// dropReplaced drops what waits with the same key as n, which is about to wait behind it. The client is not told: it has, or gets,
// the newer one.
func (c *conn) dropReplaced(n *hub.Notification) {
	w := n.Waiting()
	if w == nil || w.Collapse == 0 {
		return
	}
	c.dropWaiting(failedCollapsed, func(other *hub.Notification) bool {
		its := other.Waiting()
		return its != nil && its.Collapse == w.Collapse
	})
}

// dropExpired drops what waits for longer than it may. The client is not told: the backend said that it is of no use any more.
func (c *conn) dropExpired() {
	if !c.out.Expires() {
		return
	}
	now := c.loop.server.cfg.Hub.Clock()
	c.dropWaiting(failedExpired, func(n *hub.Notification) bool {
		w := n.Waiting()
		return w != nil && w.Until != 0 && w.Until <= now
	})
}

func (c *conn) dropWaiting(why failure, which func(*hub.Notification) bool) {
	dropped := c.out.DropWhere(which)
	for _, n := range dropped {
		c.failNotification(n, why)
	}
	if len(dropped) > 0 {
		c.loop.rank(c.out)
	}
}

// makeRoom finds room for one more notification for a connection that the kernel takes no more for. If there is none, the
// notification is lost and counted. If nothing waits there is always room.
func (c *conn) makeRoom(n *hub.Notification) bool {
	if c.out.Len() == 0 {
		return true
	}
	now, rules := c.loop.server.now(), c.loop.server.rules.Load()
	if c.out.Full(n, rules.QueueBytes, rules.QueueMessages, now) {
		c.dropExpired()
		c.retryWrite(now)
		if !c.stalled() {
			return true
		}
		if c.out.Full(n, rules.QueueBytes, rules.QueueMessages, now) {
			c.dropNotification(n, failedFull, now)
			return false
		}
	}
	if rules.QueueTotal > 0 && !c.shedFor(n, rules.QueueTotal, now) {
		c.dropNotification(n, failedMemory, now)
		return false
	}
	return true
}

// retryWrite writes to a connection that the kernel took no more for, and sees what its
// client has taken meanwhile.
func (c *conn) retryWrite(now time.Duration) {
	if c.out.Idle(now) && c.out.Progress.LookedAgo(now) < retryEvery {
		return
	}
	c.flush()
	if c.stalled() {
		c.out.pollAcked(now)
	}
}

// shedFor makes room for n in the memory of all queues, where that is short: the
// fullest queue loses what came to it last. It reports false if that is c's own.
//
// A loop sheds from its own connections. The fullest queue of all may be another
// loop's, which then is asked to, and until it has there is the reserve.
func (c *conn) shedFor(n *hub.Notification, total int, now time.Duration) bool {
	l := c.loop
	for range shedMost {
		used := l.server.queues.With(n)
		if used <= total-total/reserveShare {
			return true
		}
		if l.askFullestLoop() && used <= total {
			return true
		}
		victim := l.fullest(now)
		if victim == nil || !victim.out.Greedier(&c.out.Queue, now) {
			return false
		}
		victim.shedOne(now)
	}
	return false
}

// shedOwn sheds because another loop needs room.
func (l *loop) shedOwn() {
	l.shedAsked.Store(false)
	total, now := l.server.rules.Load().QueueTotal, l.server.now()
	for range shedMost {
		if total == 0 || l.server.queues.Bytes() <= total-total/reserveShare {
			return
		}
		victim := l.fullest(now)
		if victim == nil {
			return
		}
		victim.shedOne(now)
	}
}

// shedOne drops what came last for a connection.
func (c *conn) shedOne(now time.Duration) {
	defer c.guard()
	n := c.out.DropNewest()
	c.loop.rank(c.out)
	c.dropNotification(n, failedMemory, now)
}

// fullest returns the connection of the loop that pays when memory is short; nil if
// none has something to lose.
func (l *loop) fullest(now time.Duration) *conn {
	q := l.ranking.Fullest(func(q *sendqueue.Queue) bool { return q.Idle(now) })
	if q == nil {
		return nil
	}
	return l.server.conns.Get(q.FD)
}

// rank gives a send queue its place in the ranking, and other loops word of how full
// the fullest is.
func (l *loop) rank(q *outQueue) {
	if !q.Counted() {
		return // it does not count: the server's own health check
	}
	l.ranking.Put(&q.Queue)
	l.publishRank()
}

func (l *loop) publishRank() {
	if top := int32(l.ranking.Top()); top != l.topRank.Load() {
		l.topRank.Store(top)
	}
}

// askFullestLoop asks the loop that has the fullest queue to shed, and reports whether
// that is another one than this.
func (l *loop) askFullestLoop() bool {
	top := l
	for _, other := range l.server.loops {
		if other.topRank.Load() > top.topRank.Load() {
			top = other
		}
	}
	if top == l {
		return false
	}
	if !top.shedAsked.Swap(true) {
		top.do(top.shedOwn)
	}
	return true
}
