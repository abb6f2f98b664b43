package netpoll

import (
	"bytes"
	"runtime/debug"
	"sync"
	"time"

	"roost/wsproto"
)

// check is a handshake whose token a worker looks at, because that takes longer
// than a loop may. The connection has it in its handshake until the answer is there.
type check struct {
	c      *conn  // static; what it points to is the loop's
	source source // static

	// Guarded by the checkers' lock.
	queued     bool
	rank       uint8
	next, prev *check

	asked // of it the worker reads the request
}

// checkers are the workers that check tokens: as many as Config.Checkers, and a
// queue of Config.CheckQueue in front of them.
type checkers struct {
	work sync.WaitGroup

	mu      sync.Mutex
	ready   sync.Cond  // on mu: a check waits, or they are to stop
	queue   checkQueue // guarded by mu
	stopped bool       // guarded by mu
}

// startCheckers starts the workers.
func (s *Server) startCheckers() {
	s.checkers.ready.L = &s.checkers.mu
	s.checkers.queue = newCheckQueue()
	for range s.cfg.Checkers {
		s.checkers.work.Go(s.checkTokens)
	}
}

// stopCheckers ends the workers. Queued checks are discarded.
func (s *Server) stopCheckers() {
	w := &s.checkers
	w.mu.Lock()
	w.stopped = true
	w.mu.Unlock()
	w.ready.Broadcast()
	w.work.Wait()
}

// put hands a check over. Where more than limit wait, the one that would have to wait longest
// is taken out and returned; it may be this one. It never waits.
func (w *checkers) put(k *check, limit int, now time.Duration) (out *check) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue.push(k, now)
	if w.queue.waiting > limit {
		out = w.queue.worst()
		w.queue.remove(out)
	}
	w.ready.Signal()
	return out
}

// next waits for a check, and returns it; nil when the workers are to stop.
func (w *checkers) next() *check {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		if w.stopped {
			return nil
		}
		if k := w.queue.pop(); k != nil {
			return k
		}
		w.ready.Wait()
	}
}

// forget takes a check out that nobody waits for any more.
func (w *checkers) forget(k *check) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue.remove(k)
}

// proven says that a source's check has found a good token.
func (w *checkers) proven(of source, now time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue.proven(of, now)
}

// checkTokens is a worker's goroutine.
func (s *Server) checkTokens() {
	for {
		k := s.checkers.next()
		if k == nil {
			return
		}
		s.checkToken(k)
	}
}

// checkToken checks one token and sends the answer to the connection's loop.
func (s *Server) checkToken(k *check) {
	l := k.c.loop
	defer func() {
		if problem := recover(); problem != nil {
			l.stats.panics.Add(1)
			s.log.Error("checking a token failed; the connection is closed", "panic", problem, "stack", string(debug.Stack()))
			l.do(func() { l.drop(k.c, ReasonPanic) })
		}
	}()
	req := k.req
	refusal := s.gate().Check(&req, s.cfg.Now())
	if refusal == nil {
		s.checkers.proven(k.source, s.now())
	}
	l.do(func() { l.checked(k, req, refusal) })
}

// checkLater hands a connection's token to the workers. It waits for them for
// Config.CheckWait, and within the handshake deadline.
func (l *loop) checkLater(c *conn, req wsproto.Request, more []byte) {
	switch {
	case l.server.draining.Load():
		l.reject(c, req, wsproto.RefuseDraining(l.server.retryAfter()))
		return
	case len(more) > maxEarly:
		l.reject(c, req, wsproto.RefuseEarly())
		return
	}
	req.Detach()
	k := &check{c: c, source: c.part.hs.source, asked: asked{req: req, early: bytes.Clone(more)}}
	c.part.hs.check = k
	l.stayPending(c, stateChecking, strangersPlace)
	l.stats.checking.Add(1)
	l.at(c, min(l.server.now()+l.server.cfg.CheckWait, l.server.moment(l.wheel.At(c))))
	if out := l.server.checkers.put(k, l.server.cfg.CheckQueue, l.server.now()); out != nil {
		out.c.loop.giveUpCheck(l, out)
	}
	if c.state == stateChecking {
		l.keep(c, k.size())
	}
}

// giveUpCheck ends a handshake whose token will not be checked. from is the loop that says so.
func (l *loop) giveUpCheck(from *loop, k *check) {
	if l == from {
		l.checkTooLate(k.c)
		return
	}
	l.do(func() {
		defer l.guard(k.c)
		if k.c.state == stateChecking {
			l.checkTooLate(k.c)
		}
	})
}

// checked goes on with a handshake whose token was checked. req is the request
// with who asks; the connection may have ended meanwhile.
func (l *loop) checked(k *check, req wsproto.Request, refusal *wsproto.Refusal) {
	if k.c.state != stateChecking {
		return
	}
	defer l.guard(k.c)
	l.identified(k.c, req, refusal, k.early)
}

// checkTooLate ends a handshake whose token has not been checked in time.
func (l *loop) checkTooLate(c *conn) {
	l.reject(c, c.part.hs.check.req, wsproto.RefuseChecksFull(l.server.retryAfter()))
}
