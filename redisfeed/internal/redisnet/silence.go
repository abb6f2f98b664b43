package redisnet

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// ErrSilent ends a read that got nothing for too long.
var ErrSilent = errors.New("nothing came from redis")

// watchedConn ends a read during which not one byte came for the limit, which the socket below it keeps: each of its
// reads fails with os.ErrDeadlineExceeded after so long. The clock runs only inside Read, so a reader that is busy
// elsewhere never loses its link, and it starts again with every piece of a long message. It belongs to one reader.
type watchedConn struct {
	net.Conn
	limit   time.Duration
	excused func() bool // nil: never
}

// Read reads, for no longer than the limit.
func (c *watchedConn) Read(b []byte) (int, error) {
	for {
		start := time.Now()
		n, err := c.Conn.Read(b)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		// A deadline noticed far too late means that this process was stopped, and published no heartbeats.
		late := time.Since(start) - c.limit
		if late < c.limit/4 && (c.excused == nil || !c.excused()) {
			return 0, fmt.Errorf("%w for %s", ErrSilent, c.limit)
		}
	}
}
