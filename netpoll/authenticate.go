package netpoll

import (
	"bytes"
	"runtime/debug"

	"roost/wsproto/handshake"
)

// authJob is a token that a worker checks, because that takes longer than a loop may.
type authJob struct {
	job
	c *conn // static; what it points to is the loop's

	heldRequest // the worker reads its request
}

// run implements work.
func (k *authJob) run(s *Server) {
	l := k.c.loop
	defer func() {
		if problem := recover(); problem != nil {
			l.stats.Panics.Add(1)
			s.log.Error("checking a token failed; the connection is closed", "panic", problem, "stack", string(debug.Stack()))
			l.do(func() { k.c.closeNow(ReasonPanic) })
		}
	}()
	req := k.req
	refusal := s.upgrader().Check(&req, s.cfg.Now())
	if refusal == nil {
		s.workers.verified(&s.workers.tokens, k.source, 1, s.now())
	}
	l.do(func() {
		defer k.c.guard()
		if k.c.state == stateAuthenticating { // the connection may have ended meanwhile
			k.c.extra.hs.authenticated(req, refusal, k.early)
		}
	})
}

// authenticateAsync hands a token to the workers. The handshake waits for them for Config.AuthTimeout at most, and within
// its deadline.
func (h *pendingHandshake) authenticateAsync(req handshake.Request, more []byte) {
	c, l, s := h.conn, h.conn.loop, h.conn.loop.server
	switch {
	case s.draining.Load():
		h.respondError(req, handshake.RefuseDraining(s.retryAfter()))
		return
	case len(more) > maxEarly:
		h.respondError(req, handshake.RefuseEarly())
		return
	}
	req.Detach()
	k := &authJob{c: c, heldRequest: heldRequest{req: req, early: bytes.Clone(more)}}
	k.job = job{work: k, source: h.source, priority: uint8(req.Priority)}
	h.job, h.held = k, &k.heldRequest
	h.setState(stateAuthenticating, unknownWeight)
	l.stats.Authenticating.Add(1)
	c.setTimer(min(s.now()+s.cfg.AuthTimeout, s.moment(l.wheel.At(c))))
	if out := s.workers.put(&s.workers.tokens, &k.job, s.cfg.AuthQueue, s.now()); out != nil {
		out.cancel(l)
	}
	if c.state == stateAuthenticating {
		h.growBytes()
	}
}

// cancel implements work.
func (k *authJob) cancel(from *loop) {
	if k.c.loop == from {
		k.c.extra.hs.authTimedOut()
		return
	}
	k.c.loop.do(func() {
		defer k.c.guard()
		if k.c.state == stateAuthenticating {
			k.c.extra.hs.authTimedOut()
		}
	})
}

// authTimedOut ends a handshake whose token has not been checked in time.
func (h *pendingHandshake) authTimedOut() {
	h.respondError(h.held.req, handshake.RefuseChecksFull(h.conn.loop.server.retryAfter()))
}
