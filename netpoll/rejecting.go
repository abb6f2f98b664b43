package netpoll

import (
	"math/rand/v2"
	"time"

	"roost/wsproto"
)

// tooManyHandshakes counts an upgrade against their rate. Any goroutine.
func (s *Server) tooManyHandshakes() bool {
	limit := s.rules.Load().handshakes
	return limit != nil && !limit.Allow()
}

// retryAfter is what a refused client is told to wait: Config.RetryAfter and up
// to as much again, so that those who were refused together don't come back
// together.
func (s *Server) retryAfter() time.Duration {
	return s.cfg.RetryAfter + time.Duration(rand.Int64N(int64(s.cfg.RetryAfter)+1))
}

// reject refuses a request that was complete: with an HTTP answer, or, where
// Config.RejectAfterUpgrade says so and the request is good enough for it, with a
// 101 and a close frame that a page can read.
func (l *loop) reject(c *conn, req wsproto.Request, refusal *wsproto.Refusal) {
	l.noteRefusal(c, refusal)
	l.end(c, ReasonAnswered, l.answerTo(req, refusal))
}

// answerTo is the answer of a refusal. It is the loop's, until the next one.
func (l *loop) answerTo(req wsproto.Request, refusal *wsproto.Refusal) []byte {
	if l.server.cfg.RejectAfterUpgrade {
		if words, ok := req.AppendRejection(l.scratch[:0], refusal); ok {
			return words
		}
	}
	return refusal.Append(l.scratch[:0])
}
