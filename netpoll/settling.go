package netpoll

import (
	"context"
	"time"
)

// Settle is Flush for whoever delivers to very many connections, a chunk at a time: it returns when the loops have done
// what is in their mailboxes, and have then had as much time again for their other work. So what others deliver in the
// meantime waits for one chunk at most, and a loop never works for the chunks alone. When ctx ends it waits no longer.
// Any goroutine but a loop's; it may run beside Flush.
func (s *Server) Settle(ctx context.Context) {
	s.Flush()
	if ctx.Err() != nil {
		return
	}
	began := s.now()
	if !s.awaitMail(ctx) {
		return
	}
	rest := time.NewTimer(s.now() - began)
	defer rest.Stop()
	select {
	case <-rest.C:
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
	waiting, _ := l.mail.depth()
	return waiting == 0 && !l.more
}
