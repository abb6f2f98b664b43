package netpoll

import "roost/hub"

// Every notification that a loop takes ends in account or in fail. The server's
// own health checks are in no count.

// account notes that the kernel took n bytes of what gather returned.
func (l *loop) account(c *conn, n int) {
	if c.out.bytes > 0 {
		l.departures.write(c, l.server.cfg.Hub.Clock())
	}
	sent := c.out.took(n)
	l.departures.delays.count()
	if !c.probe {
		l.stats.sent.Add(uint64(sent))
	}
}

// fail counts n notifications that will not be sent.
func (l *loop) fail(c *conn, why failure, n int) {
	if !c.probe {
		l.stats.failed[why].Add(uint64(n))
	}
}

// failOne is fail for a notification that is in no write queue.
func (l *loop) failOne(c *conn, n *hub.Notification, why failure) {
	l.fail(c, why, 1)
	n.Trace.Failed(failureNames[why])
}
