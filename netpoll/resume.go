package netpoll

import (
	"strconv"
	"time"

	"roost/hub"
	"roost/internal/position"
	"roost/wsproto"
)

// Where the hub's clients can resume (hub.Config.Resume), a client asks for it, or one that speaks our sub-protocol has to know when
// the connection ends with its token, a connection begins with an envelope of type _hello, right behind the 101. Missed notifications
// follow at once, before anything that is delivered.

// appendHello appends the hello of a connection that was admitted, and the notice of a gap where its client can't resume.
// Without a position, an id of the connection, and ends, there is none. ends is what appendExpires says of a connection that ends with its token.
func appendHello(b []byte, w *hub.Welcome, ends []byte) []byte {
	if w.ID == "" && w.Connection == "" && len(ends) == 0 {
		return b
	}
	text := make([]byte, 0, 192)
	text = append(text, `{"type":"_hello","payload":{`...)
	if w.ID != "" {
		text = append(append(append(text, `"id":"`...), w.ID...), `",`...) // first, see wsproto.AppendEvents
	}
	if w.Connection != "" {
		text = append(append(append(text, `"connection":"`...), w.Connection...), `",`...)
	}
	if len(ends) > 0 {
		text = append(append(text, ends...), ',')
	}
	switch w.Result {
	case hub.ResumeDone:
		text = append(text, `"resumed":{"missed":`...)
		text = append(strconv.AppendInt(text, int64(len(w.Missed)), 10), "},"...)
	case hub.ResumeRefused:
		text = append(text, `"resumed":false,`...)
	}
	text = append(text[:len(text)-1], "}}"...)
	b = append(wsproto.AppendTextHeader(b, len(text)), text...)
	if w.Result == hub.ResumeRefused {
		b = appendResumeGap(b, w.LostSince)
	}
	return b
}

// appendResumeGap appends the notice of a gap whose beginning may not be known.
func appendResumeGap(b []byte, since time.Time) []byte {
	if !since.IsZero() {
		return appendGap(b, gapResume, since)
	}
	const text = `{"type":"_gap","payload":{"reason":"resume","since":null}}`
	return append(wsproto.AppendTextHeader(b, len(text)), text...)
}

// replay sends a client what it missed. The connection has just been admitted.
func (c *conn) replay(missed []*hub.Notification) {
	for _, n := range missed {
		c.loop.stats.Replayed.Add(1) // they count as accepted
		if c.stream {
			n = n.EventStream()
		}
		c.deliver(n)
	}
	if c.out != nil && !c.stalled() {
		c.flush()
	}
}

// deliverLoss tells the client that notifications were lost, at their place among the others.
func (c *conn) deliverLoss(n *hub.Notification) {
	if c.selfCheck {
		return
	}
	reason, since := gapBroadcast, time.UnixMilli(n.After)
	if n.Lost == hub.LostFeed {
		reason = gapRedis
	}
	c.sendGapNotice(reason, since, appendGap(nil, reason, since))
}

// positionTries bounds how often a connection's position is looked for again because it was handed something meanwhile.
const positionTries = 3

// position returns the place in the stream up to which the client has everything when it reads what is sent now, ahead of the
// notifications that wait for it. It delivers the loop's mail first, which may end the connection. ok is false where the place
// is not known: in the moment in which the connection is handed something, which has an id of its own.
func (c *conn) position() (p position.Position, ok bool) {
	h := c.loop.server.cfg.Hub
	for range positionTries {
		var still bool
		p, still = c.handedUpTo()
		switch {
		case c.state != stateOpen:
			return p, false
		case c.out != nil && c.out.First() != nil:
			return h.Before(c.out.First()) // a loss comes behind that, too: the newest are dropped
		case c.out != nil && (c.out.Notice != nil || !c.out.lostSince.IsZero()):
			return p, false
		case still:
			return p, true
		}
	}
	return p, false
}

// endPosition is position for what is sent behind all that waits.
func (c *conn) endPosition() (p position.Position, ok bool) {
	for range positionTries {
		p, ok = c.handedUpTo()
		if c.state != stateOpen || c.out != nil && !c.out.lostSince.IsZero() {
			return p, false
		}
		if ok {
			return p, true
		}
	}
	return p, false
}

// handedUpTo returns the hub's position of the connection, and delivers the loop's mail, so that what is up to there is sent
// or in the send queue. ok is false where that is not so, or more is.
func (c *conn) handedUpTo() (p position.Position, ok bool) {
	l, written, queued := c.loop, c.written, c.queued()
	p, ok = l.server.cfg.Hub.Position(c)
	l.deliverMail()
	return p, ok && !l.mailLeft && c.written == written && c.queued() == queued
}

// queued returns how many notifications wait in the send queue.
func (c *conn) queued() int {
	if c.out == nil {
		return 0
	}
	return c.out.Len()
}

// closePlanned ends an open connection whose client may come back, and tells it up to where it has everything.
func (c *conn) closePlanned(why Reason, code wsproto.CloseCode, text string) {
	id := ""
	if c.loop.server.resumes && c.state == stateOpen && !c.selfCheck {
		if p, ok := c.endPosition(); ok {
			id = p.String()
		}
	}
	c.closeWith(why, wsproto.AppendCloseAt(c.loop.scratch[:0], code, text, id))
}

// appendPositionPong appends the answer to a ping in text that tells the client where it is.
func appendPositionPong(b []byte, p position.Position) []byte {
	const before, after = `{"type":"pong","id":"`, `"}`
	b = wsproto.AppendTextHeader(b, len(before)+position.Size+len(after))
	return append(p.Append(append(b, before...)), after...)
}
