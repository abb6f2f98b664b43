package netpoll

import (
	"context"
	"time"
)

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
	waiting, _ := l.mail.depth()
	return waiting == 0 && !l.more
}
