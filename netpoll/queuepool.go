package netpoll

// getQueue gives c a write queue.
func (c *conn) getQueue() {
	l := c.loop
	if last := len(l.queues) - 1; last >= 0 {
		c.out, l.queues = l.queues[last], l.queues[:last]
	} else {
		c.out = new(outQueue)
	}
	if !c.selfCheck {
		c.out.tracker = l.sent
	}
}

// keptQueues is how many empty write queues a loop keeps for the next batch.
const keptQueues = 256

// putQueue takes c's write queue back. Nothing may be in it that counts.
func (c *conn) putQueue() {
	l := c.loop
	if c.out == nil {
		return
	}
	c.unwatchWrite()
	c.unrank()
	if len(l.queues) < keptQueues {
		c.out.reset()
		l.queues = append(l.queues, c.out)
	}
	c.out = nil
}

// cleanupQueue fails what waits in c's write queue and takes the queue back.
func (c *conn) cleanupQueue() {
	if c.out == nil {
		return
	}
	c.countFailed(failedClosed, c.out.dropAll())
	c.putQueue()
}
