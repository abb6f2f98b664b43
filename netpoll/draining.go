package netpoll

// Flush sends everything on its way that was put into mailboxes by Deliver and
// that no loop knows of yet. Whoever delivers calls it at the end of each batch,
// before it waits for more.
//
// A loop that sleeps is not woken for a few notifications: the caller takes its
// turn and writes them itself, which saves a switch to another thread for each
// batch, on both sides of it. From handoff items on, in all mailboxes together,
// the loops are woken, to write at the same time.
//
// Any goroutine but a loop's, several at once: each does what is there, or leaves it to who is at it.
func (s *Server) Flush() {
	waiting := 0
	for _, l := range s.loops {
		waiting += l.mail.unannounced()
	}
	for _, l := range s.loops {
		switch {
		case l.mail.unannounced() == 0:
		case waiting >= handoff:
			l.mail.announce()
		default:
			l.serveMail()
		}
	}
}

// serveMail drains the mailbox of a loop that sleeps, and wakes one that does
// not. Any goroutine but a loop's.
func (l *loop) serveMail() {
	if !l.turn.TryLock() {
		l.mail.announce()
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
	l.batch, l.next = l.mail.take(l.batch), 0
	return len(l.batch) > 0
}

// abandonMail counts what the loop has not got to as failed. It is called when
// the loop has ended and its mailbox is closed.
func (l *loop) abandonMail() {
	l.turn.Lock() // the feed may be in Flush
	defer l.turn.Unlock()
	rest := append(l.batch[l.next:], l.mail.take(nil)...)
	l.batch, l.next = nil, 0
	for _, item := range rest {
		l.failOne(item.c, item.n, failedClosed)
	}
}
