package redisfeed

import (
	"net"
	"sync"
)

// corkConn holds back what is written while it is corked, and sends it in one piece: many small commands, each of which
// go-redis writes by itself. Any goroutine may write.
type corkConn struct {
	net.Conn
	mu     sync.Mutex
	corked bool   // guarded by mu
	held   []byte // guarded by mu
}

// Write writes, or keeps b for uncork.
func (c *corkConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.corked {
		c.held = append(c.held, b...)
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func (c *corkConn) cork() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.corked = true
}

// uncork writes what was held back.
func (c *corkConn) uncork() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.corked = false
	held := c.held
	c.held = nil // it is of use to storms only
	if len(held) == 0 {
		return nil
	}
	_, err := c.Conn.Write(held)
	return err
}
