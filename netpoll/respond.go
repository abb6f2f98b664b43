package netpoll

import (
	"math/rand/v2"
	"time"

	"roost/wsproto"
)

// handshakesExceeded counts an upgrade with a good token against their rate, and against
// what its source may have of it. Any goroutine.
func (s *Server) handshakesExceeded(from source) bool {
	limit := s.rules.Load().handshakes
	return limit != nil && !limit.Take(uint64(from), s.now())
}

// refusalsExceeded is the same for refusals, which have a rate of their own: junk leaves
// handshakes theirs. Any goroutine.
func (s *Server) refusalsExceeded(from source) bool {
	limit := s.rules.Load().refusals
	return limit != nil && !limit.Take(uint64(from), s.now())
}

// retryAfter is what a refused client is told to wait: Config.RetryAfter and up
// to as much again, so that those who were refused together don't come back
// together.
func (s *Server) retryAfter() time.Duration {
	return s.cfg.RetryAfter + s.jitter()
}

// jitter is a random part of Config.RetryAfter, for clients who would otherwise come back at the same moment.
func (s *Server) jitter() time.Duration {
	return time.Duration(rand.Int64N(int64(s.cfg.RetryAfter) + 1))
}

// RejectMode says which upgrades are refused with a 101 and a close frame, whose code is
// 4000 and the HTTP status, in place of the status: browsers show pages nothing of a
// failed handshake.
type RejectMode uint8

// Which upgrades are refused so.
const (
	RejectKnowing RejectMode = iota // those of clients that offer wsproto.Protocol, and so know the codes
	RejectAlways
	RejectNever
)

// respondError refuses a request that was complete: with an HTTP answer, or, where
// Config.RejectAfterUpgrade says so and the request is good enough for it, with a
// 101 and a close frame that a page can read.
func (l *loop) respondError(c *conn, req wsproto.Request, refusal *wsproto.Refusal) {
	l.countRefusal(c, refusal, req.Origin)
	l.closeRefused(c, ReasonAnswered, l.errorResponse(req, refusal))
}

// closeRefused ends a pending handshake with the answer that it is refused. Where these come faster than they may the
// socket is closed at once: the answer is on its way, but it is not waited for that the client has read it.
func (l *loop) closeRefused(c *conn, why Reason, answer []byte) {
	if !l.server.refusalsExceeded(c.extra.hs.source) {
		l.closeWith(c, why, answer)
		return
	}
	_, _ = l.write(c, answer)
	l.stats.lingerCut.Add(1)
	l.closeNow(c, why)
}

// errorResponse is the answer of a refusal. It is the loop's, until the next one.
func (l *loop) errorResponse(req wsproto.Request, refusal *wsproto.Refusal) []byte {
	if mode := l.server.cfg.RejectAfterUpgrade; mode == RejectAlways || mode == RejectKnowing && req.OffersProtocol() {
		if words, ok := req.AppendRejection(l.scratch[:0], refusal); ok {
			return words
		}
	}
	return refusal.Append(l.scratch[:0])
}

func (l *loop) respondHealth(c *conn, req wsproto.Request, status int, body []byte) {
	l.stats.health.Add(1)
	l.closeWith(c, ReasonAnswered, req.AppendHealth(l.scratch[:0], status, body))
}

// respondHeadError answers a handshake with something other than a 101, and ends.
func (l *loop) respondHeadError(c *conn, refusal *wsproto.Refusal, why Reason) {
	l.countRefusal(c, refusal, nil)
	if why == ReasonHandshake && !c.extra.hs.requested {
		// Nothing ever came, or only a proxy's word: an answer would be to nobody's question.
		l.closeNow(c, why)
		return
	}
	l.closeRefused(c, why, refusal.Append(l.scratch[:0]))
}

// countRefusal counts a refusal, and logs it where somebody can mend what it is for, or looks
// for the cause of one. origin is that of a page that may not connect.
func (l *loop) countRefusal(c *conn, refusal *wsproto.Refusal, origin []byte) {
	l.stats.refused[refusal.Reason].Add(1)
	l.server.refusals.warn(c.extra.hs.client, refusal, string(origin))
	l.logRefused(c, refusal)
}

// respondErrorNow answers a request and closes the socket without waiting for the client. What
// the kernel does not take at once is lost.
func (l *loop) respondErrorNow(c *conn, req wsproto.Request, refusal *wsproto.Refusal) {
	_, _ = l.write(c, l.errorResponse(req, refusal))
	l.closeNow(c, ReasonAnswered)
}
