package netpoll

import (
	"roost/hub"
	"roost/wsproto"
)

// slowConsumer deals with a connection that has just lost n because
// there was no room for it: it keeps the connection, or ends it where
// Config.CloseSlow says so.
func (l *loop) slowConsumer(c *conn, n *hub.Notification, why failure) {
	l.server.slowLog.warn(c.link.User(), failureNames[why], c.out.notifications())
	if l.server.cfg.CloseSlow {
		l.endSlow(c)
		return
	}
	l.noteLoss(c, n)
}

// closeSlow is the close code of a slow consumer: that of an HTTP status of its kind, request time-out. 1013, try again
// later, is taken for an error in the protocol by a good part of the client libraries, as 1012 is.
const closeSlow wsproto.CloseCode = 4408

// endSlow ends a slow consumer. What waits for it is
// given up, but for the rest of a frame that the client has a part of: nothing
// else but the close frame is written any more.
func (l *loop) endSlow(c *conn) {
	n, bytes := c.out.dropWaiting()
	l.fail(c, failedClosed, n)
	l.queued(c, -n, -bytes)
	l.end(c, ReasonSlow, wsproto.AppendClose(l.scratch[:0], closeSlow, "too slow: notifications were lost"))
}
