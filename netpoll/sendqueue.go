package netpoll

import "roost/netpoll/internal/sendqueue"

// outQueue is what waits to be written to a connection, and what it may have to be told
// about what did not.
type outQueue struct {
	sendqueue.Queue
	gapState
}

// getQueue gives c a write queue.
func (c *conn) getQueue() {
	l := c.loop
	if last := len(l.queues) - 1; last >= 0 {
		c.out, l.queues = l.queues[last], l.queues[:last]
	} else {
		c.out = new(outQueue)
	}
	c.out.FD = c.fd
	if !c.selfCheck {
		c.out.Tracker = l.sent
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
		c.out.Reset()
		c.out.gapState = gapState{}
		l.queues = append(l.queues, c.out)
	}
	c.out = nil
}

// cleanupQueue fails what waits in c's write queue and takes the queue back.
func (c *conn) cleanupQueue() {
	if c.out == nil {
		return
	}
	c.countFailed(failedClosed, c.out.DropAll(failureNames[failedClosed]))
	c.putQueue()
}
