package netpoll

import (
	"time"

	"roost/hub"
	"roost/wsproto"
)

// lose deals with a notification for which there is no room, or no more: it is
// counted, and the connection keeps going without it, or ends where Config.CloseSlow
// says so. A client is called slow only where it is, see progress.slow. Others lose
// something because more came at once than may wait, or because there was no memory.
func (l *loop) lose(c *conn, n *hub.Notification, why failure, now time.Duration) {
	slow := c.out.progress.slow(now)
	if slow && why == failedFull {
		why = failedSlow
	}
	l.failOne(c, n, why)
	l.server.lossLog.warn(slow, c.link.User(), why, c.out)
	switch {
	case !l.server.cfg.CloseSlow:
		l.noteLoss(c, n, slow)
	case slow:
		l.endFull(c, ReasonSlow, wsproto.AppendClose(l.scratch[:0], closeSlow, "too slow: notifications were lost"))
	default:
		l.endFull(c, ReasonFull, wsproto.AppendClose(l.scratch[:0], closeFull, "too many notifications at once: some were lost"))
	}
}

const (
	// closeSlow is the close code of a slow consumer: that of an HTTP status of its kind, request time-out. 1013, try again
	// later, is taken for an error in the protocol by a good part of the client libraries, as 1012 is.
	closeSlow wsproto.CloseCode = 4408
	// closeFull is that of a client for which more came at once than may wait: as the status insufficient storage.
	closeFull wsproto.CloseCode = 4507
)

// endFull ends a connection that has lost a notification. What waits for it is
// given up, but for the rest of a frame that the client has a part of: nothing
// else but the close frame is written any more.
func (l *loop) endFull(c *conn, why Reason, closeFrame []byte) {
	l.fail(c, failedClosed, c.out.dropWaiting())
	l.rank(c)
	l.end(c, why, closeFrame)
}
