package netpoll

import (
	"bytes"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"roost/wsproto"
)

// check is a handshake whose token a worker looks at, because that takes longer
// than a loop may. The connection has it in its part until the answer is there.
type check struct {
	c    *conn       // static; what it points to is the loop's
	gone atomic.Bool // set by the loop: nobody waits for the answer any more

	asked // of it the worker reads the request
}

// checkers are the workers that check tokens: as many as Config.Checkers, and a
// queue of Config.CheckQueue in front of them.
type checkers struct {
	queue chan *check
	stop  chan struct{} // closed when the loops have ended
	work  sync.WaitGroup
}

// startCheckers starts the workers.
func (s *Server) startCheckers() {
	s.checkers.queue = make(chan *check, s.cfg.CheckQueue)
	s.checkers.stop = make(chan struct{})
	for range s.cfg.Checkers {
		s.checkers.work.Go(s.checkTokens)
	}
}

// stopCheckers ends the workers. What still waits nobody is there to hear of.
func (s *Server) stopCheckers() {
	close(s.checkers.stop)
	s.checkers.work.Wait()
}

// put hands a check over, or reports false when too many wait. It never waits.
func (w *checkers) put(k *check) bool {
	select {
	case w.queue <- k:
		return true
	default:
		return false
	}
}

// checkTokens is a worker's goroutine.
func (s *Server) checkTokens() {
	for {
		select {
		case <-s.checkers.stop:
			return
		case k := <-s.checkers.queue:
			if !k.gone.Load() {
				s.checkToken(k)
			}
		}
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
	l.do(func() { l.checked(k, req, refusal) })
}

// checkLater hands a connection's token to the workers. The handshake deadline
// goes on.
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
	k := &check{c: c, asked: asked{req: req, early: bytes.Clone(more)}}
	if !l.server.checkers.put(k) {
		l.reject(c, req, wsproto.RefuseChecksFull(l.server.retryAfter()))
		return
	}
	c.part.hs.check = k
	l.stayPending(c, stateChecking, strangersPlace)
	l.stats.checking.Add(1)
	l.keep(c, k.size())
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
