package redisfeed

import (
	"net"
	"time"
)

// batchConn makes batches of what Redis sends. What one read brings is one: only when all of it has been handed over
// does the reader come back for more, and then the sink is told to send it on its way. Batches grow by themselves when
// there is much to do.
//
// With a window, two reads are at least that far apart, so that what comes within it is one batch. A message that
// comes after a while of silence waits for nothing, and neither does what did not fit into a read.
type batchConn struct {
	net.Conn
	flush   func()
	arrived func() // may be nil
	window  time.Duration
	sleep   func(time.Duration)
	last    time.Time // when a read returned that was not full
}

// Read is called when everything that was read before has been delivered.
func (c *batchConn) Read(b []byte) (int, error) {
	c.flush()
	if c.window <= 0 {
		return c.read(b)
	}
	if wait := c.window - time.Since(c.last); wait > 0 {
		c.sleep(wait)
	}
	n, err := c.read(b)
	if n < len(b) {
		c.last = time.Now()
	} else {
		c.last = time.Time{} // there is more: to wait would be to fall behind
	}
	return n, err
}

// read tells at once when something has come: what follows is work.
func (c *batchConn) read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 && c.arrived != nil {
		c.arrived()
	}
	return n, err
}
