package raw

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"roost/bench/roostbench/internal/wire"
)

// Target is the server. Any goroutine may use it.
type Target struct {
	Server   netip.AddrPort
	Path     string
	Secret   []byte        // signs tokens
	Patience time.Duration // how long an answer or an end may take
	Source   netip.Addr    // where connections come from; the zero value leaves it to the kernel

	// Sign makes a good token for a user; nil: HS256 with Secret.
	Sign func(user string) string

	// Within runs what makes a socket where it belongs, in another network namespace, say; nil: here.
	Within func(func() error) error
}

// Host is the Host field of a request.
func (t Target) Host() string { return t.Server.String() }

// Token is a good token for a user.
func (t Target) Token(user string) string {
	if t.Sign != nil {
		return t.Sign(user)
	}
	return string(wire.AppendToken(nil, t.Secret, user, time.Now(), time.Hour))
}

// Dial connects. Receive is the size in bytes of the receive buffer; 0 leaves it
// to the kernel. It is set before connecting, since it bounds the window that is
// offered.
func (t Target) Dial(ctx context.Context, receive int) (*net.TCPConn, error) {
	dialer := net.Dialer{Timeout: t.Patience}
	if t.Source.IsValid() {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(t.Source, 0))
	}
	if receive > 0 || t.Source.IsValid() {
		dialer.Control = func(_, _ string, socket syscall.RawConn) error {
			var err error
			failed := socket.Control(func(fd uintptr) {
				if receive > 0 {
					err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, receive)
				}
				if t.Source.IsValid() { // the port is chosen by connect, which knows the other end
					err = errors.Join(err, syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1))
				}
			})
			if failed != nil {
				return failed
			}
			return err
		}
	}
	var conn net.Conn
	dial := func() (err error) {
		conn, err = dialer.DialContext(ctx, "tcp4", t.Server.String()) // an address is dialed by the goroutine that asks
		return err
	}
	within := t.Within
	if within == nil {
		within = func(fn func() error) error { return fn() }
	}
	if err := within(dial); err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	return conn.(*net.TCPConn), nil
}
