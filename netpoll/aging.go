package netpoll

import (
	"time"

	"roost/wsproto"
)

// Connections stay where they were made. After a deploy, the first instances that
// came back have them all; Config.MaxAge spreads them again, little by little.

// ageSpread is the part of Config.MaxAge by which connections' ages differ, so that
// those who came together do not leave together.
const ageSpread = 0.2

// tooOldAt returns when an open connection has reached its age, in time since the
// server started. It is the same for a connection whenever it is asked.
func (l *loop) tooOldAt(c *conn) time.Duration {
	opened := l.server.conns.opened(c.fd)
	mixed := (uint32(c.fd) ^ uint32(opened/time.Second)<<16) * 2654435761 // Knuth's multiplicative hash
	part := 1 - ageSpread*float64(mixed)/(1<<32)
	return opened + time.Duration(part*float64(l.server.cfg.MaxAge))
}

// endOld ends a connection that has reached its age, with 1001: the client comes
// back, to whichever instance has room.
func (l *loop) endOld(c *conn) {
	l.end(c, ReasonAge, wsproto.AppendClose(l.scratch[:0], wsproto.CloseGoingAway, "connected for long: connect again"))
}
