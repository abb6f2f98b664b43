package netpoll

import (
	"math"
	"time"

	"roost/wsproto"
)

// closeExpired is the close code of a connection whose token has expired: that of
// a refused one (wsproto.RejectionCode of 401). The client renews its token first.
const closeExpired wsproto.CloseCode = 4401

// expireAt notes when the connection has to end; the zero time is never.
func (c *conn) expireAt(when time.Time) {
	c.expires = 0
	if !when.IsZero() {
		c.expires = uint32(min(max(when.Unix(), 1), math.MaxUint32)) // the year 2106
	}
}

// expired reports whether the time is over. It is told by the clock on the wall,
// as tokens are: when that is set forward, the connection ends at its next timer.
func (c *conn) expired() bool { return c.expires != 0 && c.untilExpiry() <= 0 }

func (c *conn) untilExpiry() time.Duration {
	return time.Unix(int64(c.expires), 0).Sub(c.loop.server.cfg.Now())
}
