package netpoll

// borrowQueue lends c a write queue.
func (l *loop) borrowQueue(c *conn) {
	if last := len(l.queues) - 1; last >= 0 {
		c.out, l.queues = l.queues[last], l.queues[:last]
	} else {
		c.out = new(outQueue)
	}
	if !c.probe {
		c.out.delays = &l.delays
	}
}

// keptQueues is how many empty write queues a loop keeps for the next batch.
const keptQueues = 256

// returnQueue takes c's write queue back. Nothing may be in it that counts.
func (l *loop) returnQueue(c *conn) {
	if c.out == nil {
		return
	}
	l.unwatch(c)
	if len(l.queues) < keptQueues {
		c.out.reset()
		l.queues = append(l.queues, c.out)
	}
	c.out = nil
}

// abandonQueue fails what waits in c's write queue and takes the queue back.
func (l *loop) abandonQueue(c *conn) {
	if c.out == nil {
		return
	}
	n := c.out.notifications()
	l.fail(c, failedClosed, n)
	c.out.traceFailed(failedClosed)
	l.queued(c, -n, -c.out.bytes)
	l.returnQueue(c)
}
