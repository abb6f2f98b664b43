package netpoll

import "roost/wsproto"

// closeReplaced is the close code of a connection that had to make room for a
// newer one of its user: that of a refused handshake (wsproto.RejectionCode) with
// 429. A client that reconnects at once would push out the next.
const closeReplaced wsproto.CloseCode = 4429

// Replaced implements hub.Conn. The hub has forgotten the connection already;
// its own loop ends it, behind what was delivered to it.
func (c *conn) Replaced() {
	l := c.loop
	l.do(func() {
		defer l.guard(c)
		l.drainAll()
		l.end(c, ReasonReplaced, wsproto.AppendClose(l.scratch[:0], closeReplaced, "replaced by a newer connection of this user"))
	})
}
