package netpoll

import (
	"strconv"
	"time"

	"roost/hub"
	"roost/internal/position"
	"roost/wsproto"
)

// Where the hub's clients can resume (hub.Config.Resume), a connection begins with an envelope of type _hello, right behind
// the 101. What the client missed follows at once, before anything that is delivered.

// appendHello appends the hello of a connection that was admitted, and the notice of a gap where its client can't resume.
// Without a position there is none.
func appendHello(b []byte, w *hub.Welcome) []byte {
	if w.ID == "" {
		return b
	}
	text := make([]byte, 0, 128)
	text = append(text, `{"type":"_hello","payload":{"id":"`...)
	text = append(append(text, w.ID...), '"')
	switch w.Result {
	case hub.ResumeDone:
		text = append(text, `,"resumed":{"missed":`...)
		text = append(strconv.AppendInt(text, int64(len(w.Missed)), 10), '}')
	case hub.ResumeRefused:
		text = append(text, `,"resumed":false`...)
	}
	text = append(text, "}}"...)
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

// positionTries bounds how often position looks again because something came meanwhile.
const positionTries = 3

// position returns the place in the stream up to which the connection was sent everything, for the answer to a ping. It
// delivers the loop's mail first. ok is false while the place is not known: while something is being delivered, or waits.
func (c *conn) position() (p position.Position, ok bool) {
	l := c.loop
	for range positionTries {
		if p, ok = l.server.cfg.Hub.Position(c); !ok {
			return p, false
		}
		l.deliverMail()
		if l.mailLeft || c.out != nil || c.state != stateOpen {
			return p, false
		}
		if now, still := l.server.cfg.Hub.Position(c); still && now == p {
			return p, true
		}
	}
	return p, false
}

// appendPositionPong appends the answer to a ping in text that tells the client where it is.
func appendPositionPong(b []byte, p position.Position) []byte {
	const before, after = `{"type":"pong","id":"`, `"}`
	b = wsproto.AppendTextHeader(b, len(before)+position.Size+len(after))
	return append(p.Append(append(b, before...)), after...)
}
