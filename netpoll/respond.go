package netpoll

import (
	"math/rand/v2"
	"time"

	"roost/netpoll/internal/iplimit"
	"roost/wsproto/handshake"
)

// RejectMode says which upgrades are refused with a 101 and a close frame, whose code is 4000 plus the HTTP status,
// instead of that status: browsers hide the status of a failed handshake from the page.
type RejectMode uint8

// The upgrades that are refused with a close frame.
const (
	RejectKnowing RejectMode = iota // those of clients that offer handshake.Protocol, and so know the codes
	RejectAlways
	RejectNever
)

// respondError refuses a complete request: with an HTTP answer or, where Config.RejectAfterUpgrade says so and the
// request is good enough for it, with a 101 and a close frame that a page can read.
func (h *pendingHandshake) respondError(req handshake.Request, refusal *handshake.Refusal) {
	h.countRefusal(refusal, req.Origin)
	h.closeWithError(ReasonAnswered, h.conn.loop.errorResponse(req, refusal))
}

// respondHeadError refuses a request whose head is not complete, or not readable.
func (h *pendingHandshake) respondHeadError(refusal *handshake.Refusal, why Reason) {
	h.countRefusal(refusal, nil)
	if why == ReasonHandshake && (!h.requested || h.conn.state == stateTLS) {
		h.conn.closeNow(why) // nothing came, or only a PROXY header, or a part of a TLS handshake: there is no request to answer
		return
	}
	h.closeWithError(why, refusal.Append(h.conn.loop.scratch[:0]))
}

// respondHealth answers /health and /health/live.
func (h *pendingHandshake) respondHealth(req handshake.Request, status int, body []byte) {
	l := h.conn.loop
	l.stats.Health.Add(1)
	h.conn.closeWith(ReasonAnswered, req.AppendHealth(l.scratch[:0], status, body))
}

// errorResponse returns the answer to a refused request. It is in the loop's scratch buffer.
func (l *loop) errorResponse(req handshake.Request, refusal *handshake.Refusal) []byte {
	if req.Kind == handshake.EventStream {
		return req.AppendStreamRefusal(l.scratch[:0], refusal)
	}
	if mode := l.server.cfg.RejectAfterUpgrade; mode == RejectAlways || mode == RejectKnowing && req.OffersProtocol() {
		if response, ok := req.AppendRejection(l.scratch[:0], refusal); ok {
			return response
		}
	}
	return refusal.Append(l.scratch[:0])
}

// countRefusal counts a refusal, and logs those that an operator can mend. origin is that of a page that may not connect.
func (h *pendingHandshake) countRefusal(refusal *handshake.Refusal, origin []byte) {
	l := h.conn.loop
	l.stats.refused[refusal.Reason].Add(1)
	l.server.refusals.warn(h.client, refusal, string(origin))
	h.logRefused(refusal)
}

// closeWithError ends a pending handshake with an answer. Above the rate of refusals the socket is closed at once: the
// answer is sent, but the server does not wait until the client has read it.
func (h *pendingHandshake) closeWithError(why Reason, answer []byte) {
	c := h.conn
	if !c.loop.server.refusalsExceeded(h.source) {
		c.closeWith(why, answer)
		return
	}
	c.sendOnce(answer)
	c.loop.stats.LingerCut.Add(1)
	c.closeNow(why)
}

// handshakesExceeded counts an upgrade with a good token against Rules.HandshakeRate and the share of its source, and
// reports whether it is one too many. Any goroutine.
func (s *Server) handshakesExceeded(from iplimit.Source) bool {
	limit := s.rules.Load().handshakes
	return limit != nil && !limit.Take(uint64(from), s.now())
}

// refusalsExceeded is the same for refusals, which have a rate of their own: junk takes nothing from good handshakes. Any
// goroutine.
func (s *Server) refusalsExceeded(from iplimit.Source) bool {
	limit := s.rules.Load().refusals
	return limit != nil && !limit.Take(uint64(from), s.now())
}

// retryAfter is how long a refused client is told to wait: Config.RetryAfter and up to as much again, so that clients
// that were refused together don't come back together.
func (s *Server) retryAfter() time.Duration { return s.cfg.RetryAfter + s.jitter() }

// jitter is a random part of Config.RetryAfter.
func (s *Server) jitter() time.Duration {
	return time.Duration(rand.Int64N(int64(s.cfg.RetryAfter) + 1))
}
