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
			l.serveMail()
		}
	}
}

// serveMail drains the mailbox of a loop that sleeps, and wakes one that does
// not. Any goroutine but a loop's.
func (l *loop) serveMail() {
	if !l.turn.TryLock() {
		l.mail.Announce()
		return
	}
	l.drain()
	if l.more && l.asleep {
		l.poll.ring()
	}
	l.turn.Unlock()
}

// drain moves what waits in the mailbox to the write queues, and then writes
// once to each connection that got something. It stops after drainBatch items,
// so that a busy feed can't keep the loop from reading.
func (l *loop) drain() {
	l.more = true
	for range drainBatch {
		if l.next == len(l.batch) && !l.takeMail() {
			l.more = false
			break
		}
		item := l.batch[l.next]
		l.next++
		l.deliver(item)
	}
	l.flushDirty()
}

// drainAll drains until nothing waits in the mailbox: what was delivered before
// goes out before.
func (l *loop) drainAll() {
	for l.more = true; l.more; {
		l.drain()
	}
}

// takeMail fetches what has come, and reports whether that is anything.
func (l *loop) takeMail() bool {
	clear(l.batch)
	l.batch, l.next = l.mail.Take(l.batch), 0
	return len(l.batch) > 0
}

// abandonMail counts what the loop has not got to as failed. It is called when
// the loop has ended and its mailbox is closed.
func (l *loop) abandonMail() {
	l.turn.Lock() // the feed may be in Flush
	defer l.turn.Unlock()
	rest := append(l.batch[l.next:], l.mail.Take(nil)...)
	l.batch, l.next = nil, 0
	for _, item := range rest {
		l.failOne(item.c, item.n, failedClosed)
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
	if !s.awaitMail(ctx) || !rest {
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

// awaitMail has each loop that has mail drain its mailbox, and waits for that. It is false when there was none, or when
// there is no time.
func (s *Server) awaitMail(ctx context.Context) bool {
	drained := make(chan struct{}, len(s.loops))
	asked := 0
	for _, l := range s.loops {
		if l.atRest() {
			continue
		}
		asked++
		l.do(func() {
			l.drain()
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

// atRest reports whether nothing of what was delivered is left to do. Any goroutine but a loop's.
func (l *loop) atRest() bool {
	if !l.turn.TryLock() {
		return false
	}
	defer l.turn.Unlock()
	waiting, _ := l.mail.Depth()
	return waiting == 0 && !l.more
}

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

// deliver takes one item of the mailbox.
func (l *loop) deliver(item delivery) {
	defer l.guard(item.c)
	if item.c.state != stateOpen {
		l.failOne(item.c, item.n, failedClosed)
		return
	}
	l.enqueue(item.c, item.n)
}

// enqueue puts a notification into the connection's write queue. Where the kernel
// takes no more it may find no room, and then it has been counted.
func (l *loop) enqueue(c *conn, n *hub.Notification) {
	if c.stalled() && !l.roomFor(c, n) {
		return
	}
	if c.state != stateOpen {
		l.failOne(c, n, failedClosed) // what roomFor tried to write has ended it
		return
	}
	if c.out == nil {
		l.getQueue(c)
		l.dirty = append(l.dirty, c)
	}
	c.out.push(n)
	switch {
	case c.stalled():
		l.rank(c)
	case c.out.bytes >= flushSize:
		l.flush(c)
	}
}

// flushDirty writes to each connection that got something since the last time.
func (l *loop) flushDirty() {
	for i, c := range l.dirty {
		l.dirty[i] = nil
		if !c.stalled() {
			l.flush(c)
		}
	}
	l.dirty = l.dirty[:0]
	if cap(l.dirty) > drainBatch {
		l.dirty = nil
	}
}
