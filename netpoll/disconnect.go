package netpoll

import "roost/wsproto"

// Disconnect implements hub.Conn: a backend shows the user the door. The hub
// has forgotten the connection already; its own loop ends it, behind what was
// delivered to it.
func (c *conn) Disconnect(code wsproto.CloseCode, reason string) {
	l := c.loop
	l.do(func() {
		defer l.guard(c)
		l.drainAll()
		l.end(c, ReasonDisconnected, wsproto.AppendClose(l.scratch[:0], code, reason))
	})
}
