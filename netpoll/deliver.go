package netpoll

import (
	"context"
	"time"

	"roost/hub"
	"roost/netpoll/internal/mailbox"
)

// Flush has everything written that Deliver has put into the mailboxes. The caller of Deliver calls it at the end of each
// batch, before it waits for more.
//
// A sleeping loop is not woken for a few notifications: the caller takes the loop's lock and writes them itself, which
// saves two switches between threads for each batch. From mailbox.Handoff items on, in all mailboxes together, the loops
// are woken, to write at the same time.
//
// Any goroutine but a loop's, several at once.
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

// deliverInline delivers the mail of a sleeping loop on the caller's goroutine. A loop whose lock is held is busy, and is
// told of its mail instead. Any goroutine but a loop's.
func (l *loop) deliverInline() {
	if !l.mu.TryLock() {
		l.mail.Announce()
		return
	}
	l.deliverMail()
	if l.mailLeft && l.asleep {
		l.poll.wake()
	}
	l.mu.Unlock()
}

// deliverMail moves notifications from the mailbox to the send queues of their connections, and then writes once to each
// of these connections. It stops after mailBatch notifications, so that a busy feed can't keep the loop from reading.
func (l *loop) deliverMail() {
	l.mailLeft = true
	for range mailBatch {
		if l.next == len(l.batch) {
			clear(l.batch)
			l.batch, l.next = l.mail.Take(l.batch), 0
			if len(l.batch) == 0 {
				l.mailLeft = false
				break
			}
		}
		item := l.batch[l.next]
		l.next++
		item.c.deliver(item.n)
	}
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

// deliverAllMail delivers until the mailbox is empty.
func (l *loop) deliverAllMail() {
	for l.mailLeft = true; l.mailLeft; {
		l.deliverMail()
	}
}

// deliver puts a notification into the connection's send queue. If the kernel takes no more for the connection there may
// be no room; then the notification has been counted as failed.
func (c *conn) deliver(n *hub.Notification) {
	defer c.guard()
	if n.Frame == nil {
		c.deliverLoss(n)
		return
	}
	if c.state == stateOpen && c.stalled() {
		c.dropReplaced(n)
		if !c.makeRoom(n) {
			return
		}
	}
	if c.state != stateOpen { // it had ended, or the write in makeRoom has ended it
		c.failNotification(n, failedClosed)
		return
	}
	if c.out == nil {
		c.getQueue()
		c.loop.dirty = append(c.loop.dirty, c)
	}
	if c.loop.server.resumes && !c.out.lostSince.IsZero() { // the position of n is behind the loss
		c.out.queueLossNotice(c.loop)
	}
	c.out.Push(n)
	switch {
	case c.stalled():
		c.loop.rank(c.out)
	case c.out.Bytes() >= flushSize:
		c.flush()
	}
}

// failMail counts the mail as failed that the loop has not delivered. The loop has ended, and its mailbox is closed.
func (l *loop) failMail() {
	l.mu.Lock() // against Flush
	defer l.mu.Unlock()
	rest := append(l.batch[l.next:], l.mail.Take(nil)...)
	l.batch, l.next = nil, 0
	for _, item := range rest {
		item.c.failNotification(item.n, failedClosed)
	}
}

// Accepted = sent + failed + waiting, at every instant: a notification leaves its send queue only through countSent or
// countFailed. Those of the server's own health checks are not counted.

// countSent notes that the kernel took n bytes of what Gather returned.
func (c *conn) countSent(n int) {
	c.beginSent()
	c.endSent(c.out.Took(n))
}

// countRecordSent notes that the kernel took the whole record that carries n bytes of what Gather returned.
func (c *conn) countRecordSent(n int) {
	c.beginSent()
	c.endSent(c.out.TookWhole(n))
}

// countSealedSent notes that the kernel took n bytes of those that were sealed before.
func (c *conn) countSealedSent(n int) {
	c.beginSent()
	c.endSent(c.out.TookSealed(n))
}

func (c *conn) beginSent() {
	if c.out.Bytes() > 0 {
		c.loop.sent.BeginWrite(c.fd, c.written, c.loop.server.cfg.Hub.Clock())
	}
}

func (c *conn) endSent(sent int) {
	c.loop.sent.EndWrite()
	if !c.selfCheck {
		c.loop.stats.sent.Add(uint64(sent))
	}
}

// countFailed counts n notifications that will not be sent.
func (c *conn) countFailed(why failure, n int) {
	if !c.selfCheck {
		c.loop.stats.failed[why].Add(uint64(n))
	}
}

// failNotification is countFailed for a notification that is in no send queue.
func (c *conn) failNotification(n *hub.Notification, why failure) {
	if n.Frame == nil { // nobody is there to be told of a loss
		return
	}
	c.countFailed(why, 1)
	n.Trace.Failed(failureNames[why])
}

// WaitForLoops is Flush for a caller that delivers to very many connections, a chunk at a time: it returns when the loops
// have written what is in their mailboxes. With rest it then waits as long again, while the loops do their other work. So
// the notifications of others wait for one chunk at most, and with rest the chunks take half of a loop's time at most.
// When ctx ends it returns at once. Any goroutine but a loop's; it may run beside Flush.
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

// waitMail has each loop that has mail deliver it, and waits for that. It returns false if there was none, or ctx ended.
func (s *Server) waitMail(ctx context.Context) bool {
	delivered := make(chan struct{}, len(s.loops))
	asked := 0
	for _, l := range s.loops {
		if l.mailEmpty() {
			continue
		}
		asked++
		l.do(func() {
			l.deliverMail()
			delivered <- struct{}{}
		})
	}
	for range asked {
		select {
		case <-delivered:
		case <-ctx.Done():
			return false
		case <-s.done: // a loop that has ended runs no tasks
			return false
		}
	}
	return asked > 0
}

// mailEmpty reports whether the loop has delivered all mail. Any goroutine but a loop's.
func (l *loop) mailEmpty() bool {
	if !l.mu.TryLock() {
		return false
	}
	defer l.mu.Unlock()
	waiting, _ := l.mail.Depth()
	return waiting == 0 && !l.mailLeft
}
