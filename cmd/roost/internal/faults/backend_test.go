package faults

import (
	"bufio"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"roost/redisfeed/redistest"
)

// backend publishes. It is a client of Redis of the simplest kind: a pool would keep trouble from us for a while after
// it is over, and one that tries again could publish twice. It belongs to one goroutine.
type backend struct {
	command string                                 // PUBLISH or SPUBLISH
	owner   func(channel string) *redistest.Server // static
	conns   map[string]*backendConn                // by address
}

type backendConn struct {
	net.Conn
	in *bufio.Reader
}

// longest is longer than a Redis ever stands still: what was given up before it answers may be published all the same.
const longest = time.Minute

// publish publishes for a user, and returns nil when Redis says that it took it.
func (b *backend) publish(user, text string) error {
	addr := b.owner(channel + user).Addr()
	conn, err := b.connect(addr)
	if err != nil {
		return err
	}
	if err := conn.ask(b.command, channel+user, text); err != nil {
		_ = conn.Close()
		delete(b.conns, addr)
		return err
	}
	return nil
}

func (b *backend) connect(addr string) (*backendConn, error) {
	if conn := b.conns[addr]; conn != nil {
		return conn, nil
	}
	conn, err := net.DialTimeout("tcp", addr, longest)
	if err != nil {
		return nil, err
	}
	if b.conns == nil {
		b.conns = make(map[string]*backendConn)
	}
	b.conns[addr] = &backendConn{conn, bufio.NewReader(conn)}
	return b.conns[addr], nil
}

// close closes the connections.
func (b *backend) close() {
	for _, conn := range b.conns {
		_ = conn.Close()
	}
}

// ask sends a command that is answered with a number.
func (c *backendConn) ask(args ...string) error {
	var command strings.Builder
	fmt.Fprintf(&command, "*%d\r\n", len(args))
	for _, arg := range args {
		fmt.Fprintf(&command, "$%d\r\n%s\r\n", len(arg), arg)
	}
	_ = c.SetDeadline(time.Now().Add(longest))
	if _, err := c.Write([]byte(command.String())); err != nil {
		return err
	}
	line, err := c.in.ReadString('\n')
	if err != nil {
		return err
	}
	if _, err := strconv.Atoi(strings.TrimPrefix(strings.TrimSpace(line), ":")); err != nil {
		return fmt.Errorf("redis answers %q", strings.TrimSpace(line))
	}
	return nil
}
