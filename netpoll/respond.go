package netpoll

import (
	"math/rand/v2"
	"time"

	"roost/wsproto/handshake"
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
	RejectKnowing RejectMode = iota // those of clients that offer handshake.Protocol, and so know the codes
	RejectAlways
	RejectNever
)

// respondError refuses a request that was complete: with an HTTP answer, or, where
// Config.RejectAfterUpgrade says so and the request is good enough for it, with a
// 101 and a close frame that a page can read.
func (c *conn) respondError(req handshake.Request, refusal *handshake.Refusal) {
	c.countRefusal(refusal, req.Origin)
	c.closeRefused(ReasonAnswered, c.loop.errorResponse(req, refusal))
}

// closeRefused ends a pending handshake with the answer that it is refused. Where these come faster than they may the
// socket is closed at once: the answer is on its way, but it is not waited for that the client has read it.
func (c *conn) closeRefused(why Reason, answer []byte) {
	if !c.loop.server.refusalsExceeded(c.extra.hs.source) {
		c.closeWith(why, answer)
		return
	}
	_, _ = c.write(answer)
	c.loop.stats.lingerCut.Add(1)
	c.closeNow(why)
}

// errorResponse is the answer of a refusal. It is the loop's, until the next one.
func (l *loop) errorResponse(req handshake.Request, refusal *handshake.Refusal) []byte {
	if mode := l.server.cfg.RejectAfterUpgrade; mode == RejectAlways || mode == RejectKnowing && req.OffersProtocol() {
		if words, ok := req.AppendRejection(l.scratch[:0], refusal); ok {
			return words
		}
	}
	return refusal.Append(l.scratch[:0])
}

func (c *conn) respondHealth(req handshake.Request, status int, body []byte) {
	c.loop.stats.health.Add(1)
	c.closeWith(ReasonAnswered, req.AppendHealth(c.loop.scratch[:0], status, body))
}

// respondHeadError answers a handshake with something other than a 101, and ends.
func (c *conn) respondHeadError(refusal *handshake.Refusal, why Reason) {
	c.countRefusal(refusal, nil)
	if why == ReasonHandshake && !c.extra.hs.requested {
		// Nothing ever came, or only a proxy's word: an answer would be to nobody's question.
		c.closeNow(why)
		return
	}
	c.closeRefused(why, refusal.Append(c.loop.scratch[:0]))
}

// countRefusal counts a refusal, and logs it where somebody can mend what it is for, or looks
// for the cause of one. origin is that of a page that may not connect.
func (c *conn) countRefusal(refusal *handshake.Refusal, origin []byte) {
	c.loop.stats.refused[refusal.Reason].Add(1)
	c.loop.server.refusals.warn(c.extra.hs.client, refusal, string(origin))
	c.logRefused(refusal)
}

// respondErrorNow answers a request and closes the socket without waiting for the client. What
// the kernel does not take at once is lost.
func (c *conn) respondErrorNow(req handshake.Request, refusal *handshake.Refusal) {
	_, _ = c.write(c.loop.errorResponse(req, refusal))
	c.closeNow(ReasonAnswered)
}
