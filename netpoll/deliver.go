package netpoll

import (
	"context"
	"time"

	"roost/hub"
	"roost/netpoll/internal/mailbox"
)

// Flush sends everything on its way that was put into mailboxes by Deliver and
// that no loop knows of yet. Whoever delivers calls it at the end of each batch,
// before it waits for more.
//
// A loop that sleeps is not woken for a few notifications: the caller takes its
// turn and writes them itself, which saves a switch to another thread for each
// batch, on both sides of it. From mailbox.Handoff items on, in all mailboxes together,
// the loops are woken, to write at the same time.
//
// Any goroutine but a loop's, several at once: each does what is there, or leaves it to who is at it.
func (s *Server) Flush() {
	waiting := 0
	for _, l := range s.loops {
		waiting += l.mail.Unannounced()
	}
	for _, l := range s.loops {
		switch {
		case l.mail.Unannounced() == 0:
		case waiting >= mailbox.Handoff:
			l.mail.Announce()
		default:
			l.deliverInline()
		}
	}
}

// deliverInline drains the mailbox of a loop that sleeps, and wakes one that does
// not. Any goroutine but a loop's.
func (l *loop) deliverInline() {
	if !l.mu.TryLock() {
		l.mail.Announce()
		return
	}
	l.deliverMail()
	if l.mailLeft && l.asleep {
		l.poll.ring()
	}
	l.mu.Unlock()
}

// deliverMail moves what waits in the mailbox to the write queues, and then writes
// once to each connection that got something. It stops after drainBatch items,
// so that a busy feed can't keep the loop from reading.
func (l *loop) deliverMail() {
	l.mailLeft = true
	for range mailBatch {
		if l.next == len(l.batch) && !l.fetchMail() {
			l.mailLeft = false
			break
		}
		item := l.batch[l.next]
		l.next++
		l.deliver(item)
	}
	l.flushDirty()
}

// deliverAllMail drains until nothing waits in the mailbox: what was delivered before
// goes out before.
func (l *loop) deliverAllMail() {
	for l.mailLeft = true; l.mailLeft; {
		l.deliverMail()
	}
}

// fetchMail fetches what has come, and reports whether that is anything.
func (l *loop) fetchMail() bool {
	clear(l.batch)
	l.batch, l.next = l.mail.Take(l.batch), 0
	return len(l.batch) > 0
}

// failMail counts what the loop has not got to as failed. It is called when
// the loop has ended and its mailbox is closed.
func (l *loop) failMail() {
	l.mu.Lock() // the feed may be in Flush
	defer l.mu.Unlock()
	rest := append(l.batch[l.next:], l.mail.Take(nil)...)
	l.batch, l.next = nil, 0
	for _, item := range rest {
		item.c.failNotification(item.n, failedClosed)
	}
}

// WaitForLoops is Flush for a caller that delivers to very many connections, a chunk at a time: it returns when the loops
// have written what is in their mailboxes. With rest it returns only when they have then had as much time again for their
// other work. So what others deliver meanwhile waits for one chunk at most, and with rest a loop never works for the chunks
// alone. When ctx ends it returns at once. Any goroutine but a loop's; it may run beside Flush.
func (s *Server) WaitForLoops(ctx context.Context, rest bool) {
	s.Flush()
	if ctx.Err() != nil {
		return
	}
	began := s.now()
	if !s.waitMail(ctx) || !rest {
		return
	}
	pause := time.NewTimer(s.now() - began)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-ctx.Done():
	case <-s.done:
	}
}

// waitMail has each loop that has mail drain its mailbox, and waits for that. It is false when there was none, or when
// there is no time.
func (s *Server) waitMail(ctx context.Context) bool {
	drained := make(chan struct{}, len(s.loops))
	asked := 0
	for _, l := range s.loops {
		if l.mailEmpty() {
			continue
		}
		asked++
		l.do(func() {
			l.deliverMail()
			drained <- struct{}{}
		})
	}
	for range asked {
		select {
		case <-drained:
		case <-ctx.Done():
			return false
		case <-s.done: // a loop that has ended does nothing any more
			return false
		}
	}
	return asked > 0
}

// mailEmpty reports whether nothing of what was delivered is left to do. Any goroutine but a loop's.
func (l *loop) mailEmpty() bool {
	if !l.mu.TryLock() {
		return false
	}
	defer l.mu.Unlock()
	waiting, _ := l.mail.Depth()
	return waiting == 0 && !l.mailLeft
}

// Every notification that a loop takes ends in account or in fail. The server's
// own health checks are in no count.

// countSent notes that the kernel took n bytes of what gather returned.
func (c *conn) countSent(n int) {
	l := c.loop
	if c.out.Bytes() > 0 {
		l.sent.BeginWrite(c.fd, c.written, l.server.cfg.Hub.Clock())
	}
	sent := c.out.Took(n)
	l.sent.EndWrite()
	if !c.selfCheck {
		l.stats.sent.Add(uint64(sent))
	}
}

// countFailed counts n notifications that will not be sent.
func (c *conn) countFailed(why failure, n int) {
	if !c.selfCheck {
		c.loop.stats.failed[why].Add(uint64(n))
	}
}

// failNotification is fail for a notification that is in no write queue.
func (c *conn) failNotification(n *hub.Notification, why failure) {
	c.countFailed(why, 1)
	n.Trace.Failed(failureNames[why])
}

// deliver takes one item of the mailbox.
func (l *loop) deliver(item delivery) {
	defer item.c.guard()
	if item.c.state != stateOpen {
		item.c.failNotification(item.n, failedClosed)
		return
	}
	item.c.enqueue(item.n)
}

// enqueue puts a notification into the connection's write queue. Where the kernel
// takes no more it may find no room, and then it has been counted.
func (c *conn) enqueue(n *hub.Notification) {
	if c.stalled() && !c.makeRoom(n) {
		return
	}
	if c.state != stateOpen {
		c.failNotification(n, failedClosed) // what roomFor tried to write has ended it
		return
	}
	if c.out == nil {
		c.getQueue()
		c.loop.dirty = append(c.loop.dirty, c)
	}
	c.out.Push(n)
	switch {
	case c.stalled():
		c.rank()
	case c.out.Bytes() >= flushSize:
		c.flush()
	}
}

// flushDirty writes to each connection that got something since the last time.
func (l *loop) flushDirty() {
	for i, c := range l.dirty {
		l.dirty[i] = nil
		if !c.stalled() {
			c.flush()
		}
	}
	l.dirty = l.dirty[:0]
	if cap(l.dirty) > mailBatch {
		l.dirty = nil
	}
}
