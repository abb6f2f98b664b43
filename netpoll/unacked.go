package netpoll

// Sent means that the kernel has taken a notification. What becomes of it then only
// the client's kernel knows, which acknowledges bytes. When a connection ends, what
// was not acknowledged is counted: these deliveries stay counted as sent, and most of
// them never arrived.

// unacked is what a client had not acknowledged of what the kernel had taken for it.
type unacked struct {
	bytes      int
	deliveries int  // notifications whose last byte is one of these
	all        bool // no more than deliveries, for which the loop's log goes back far enough
}

// countUnacked asks for that, and counts it, when a connection that was open is about
// to be closed, however it came to this. It costs a system call.
func (l *loop) countUnacked(c *conn) unacked {
	ending := c.part != nil && c.part.wasOpen
	if c.probe || c.state != stateOpen && !ending {
		return unacked{}
	}
	left := unacked{bytes: unackedBytes(c.fd)}
	if c.state == stateLingering && !c.part.awaitsClose && left.bytes > 0 {
		left.bytes-- // the end of the stream
	}
	left.deliveries, left.all = l.departures.close(c.fd, c.written-uint32(left.bytes))
	if left.bytes > 0 {
		l.stats.unackedBytes[c.reason].Add(uint64(left.bytes))
		l.stats.unacked[c.reason].Add(uint64(left.deliveries))
	}
	if ending && left.deliveries > 0 {
		l.logUnacked(c, left)
	}
	return left
}
