package netpoll

import (
	"bytes"
	"errors"
	"time"

	"roost/hub"
	"roost/wsproto"
)

// open begins the life of a connection on its loop.
func (l *loop) open(fd int) {
	c := &conn{loop: l, fd: int32(fd), heard: l.server.now()}
	l.server.conns.set(c.fd, c)
	l.stats.sockets.Add(1)
	l.at(c, c.heard+l.server.cfg.HandshakeTimeout)
}

// readHead takes bytes of a request head. Until it is complete nothing is
// parsed, and what came is copied only if it did not come in one piece.
func (l *loop) readHead(c *conn, b []byte) {
	scanned := 0
	if c.part != nil {
		scanned = c.part.scanned
		b = append(c.part.head, b...)
	}
	end := wsproto.HeadEnd(b, scanned)
	switch {
	case end > wsproto.MaxHead || (end == 0 && len(b) >= wsproto.MaxHead):
		l.refuse(c, wsproto.RefuseHeadTooLarge(), ReasonAnswered)
	case end == 0:
		l.keepHead(c, b)
	default:
		l.forgetHead(c)
		l.decide(c, b[:end], b[end:])
	}
}

// keepHead keeps the beginning of a head until more of it comes.
func (l *loop) keepHead(c *conn, b []byte) {
	if c.part == nil {
		l.stats.heads.Add(1)
		c.part = &part{head: bytes.Clone(b)}
	} else {
		c.part.head = b
	}
	c.part.scanned = len(b)
}

// forgetHead lets go of what keepHead kept.
func (l *loop) forgetHead(c *conn) {
	if c.state == stateOpening && c.part != nil {
		c.part = nil
		l.stats.heads.Add(-1)
	}
}

// decide does what a complete head asks for. more is what came behind it.
func (l *loop) decide(c *conn, head, more []byte) {
	req, refusal := l.server.cfg.Gate.Read(head, time.Now())
	switch {
	case refusal != nil:
		l.refuse(c, refusal, ReasonAnswered)
	case req.Kind == wsproto.Health:
		status, body := l.server.cfg.Health()
		l.stats.health.Add(1)
		l.end(c, ReasonAnswered, req.AppendHealth(l.scratch[:0], status, body))
	case l.server.draining.Load() && !req.Probe:
		l.refuse(c, wsproto.RefuseDraining(l.server.cfg.RetryAfter), ReasonAnswered)
	default:
		l.admit(c, req, more)
	}
}

// admit registers the connection first and answers second: a notification that
// the client's own onopen causes must find it, and since deliveries are items of
// the loop's queue they can't overtake the 101.
func (l *loop) admit(c *conn, req wsproto.Request, more []byte) {
	c.probe = req.Probe // before others can find the connection
	total, ofUser, err := l.server.cfg.Hub.Admit(c, req.User)
	if errors.Is(err, hub.ErrFull) {
		l.refuse(c, wsproto.RefuseFull(l.server.cfg.RetryAfter), ReasonAnswered)
		return
	}
	now := l.server.now()
	c.state = stateOpen
	c.heard, c.pingAt = now, l.firstPing(now)
	if !c.probe {
		l.stats.opened.Add(1)
		l.logConnected(c, total, ofUser)
	}
	l.schedule(c)
	l.sendNow(c, req.AppendUpgrade(l.scratch[:0]))
	if len(more) > 0 {
		l.readFrames(c, more)
	}
}

// refuse answers a handshake with something other than a 101, and ends.
func (l *loop) refuse(c *conn, refusal *wsproto.Refusal, why Reason) {
	l.stats.refused[refusal.Reason].Add(1)
	if why == ReasonHandshake && c.part == nil {
		// Nothing ever came: an answer would be to nobody's question.
		l.drop(c, why)
		return
	}
	l.end(c, why, refusal.Append(l.scratch[:0]))
}
