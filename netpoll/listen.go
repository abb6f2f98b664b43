package netpoll

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// leastUnsent is the least TCP_NOTSENT_LOWAT: while so many bytes are not sent, the kernel takes no more. It bounds by itself
// what is sent and not acknowledged, as round trip and bandwidth need it.
//
// Measured with 5 MB to one client at 20 MB/s and round trips of 1 to 300 ms: with
// 32 KiB they arrive as fast as with the kernel's own bound of 4 MB, with 16 KiB a third as
// fast from 100 ms on (cubic), and with an SO_SNDBUF of 16 KiB a tenth. A client that reads nothing
// holds 48 KB of the kernel's memory, seldom up to 96.
const leastUnsent = 32 << 10

// ListenConfig says how to listen.
type ListenConfig struct {
	Address   string // host:port; port 0 is any free one. 0.0.0.0 is IPv4 alone, :: and no host are IPv6 too
	Unsent    int    // TCP_NOTSENT_LOWAT of each connection, in bytes; 32 KiB at least
	ReusePort bool   // SO_REUSEPORT: other processes may listen on the port too
}

// Listen opens the port. Socket options are set on the listener, whose accepted
// sockets inherit them: one system call instead of one for each connection.
func Listen(ctx context.Context, cfg ListenConfig) (*net.TCPListener, error) {
	lc := net.ListenConfig{
		KeepAlive: -1, // set below, once
		Control: func(_, _ string, raw syscall.RawConn) error {
			var failed error
			err := raw.Control(func(fd uintptr) { failed = setOptions(int(fd), cfg) })
			if err != nil {
				return err
			}
			return failed
		},
	}
	// Go asks for MPTCP by default; WebSocket clients never speak it, and each
	// of its sockets costs a second one.
	lc.SetMultipathTCP(false)
	ln, err := lc.Listen(ctx, family(cfg.Address), cfg.Address)
	if err != nil {
		return nil, fmt.Errorf("listening for WebSocket clients: %w", err)
	}
	return ln.(*net.TCPListener), nil
}

// family returns the network of an address. For 0.0.0.0 Go's "tcp" would make a socket for IPv6 too: a firewall for IPv4 would
// leave the port open, and the kernel would use a larger socket for each connection.
func family(address string) string {
	host, _, _ := net.SplitHostPort(address) // Listen returns the error
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is4() {
		return "tcp4"
	}
	return "tcp"
}

// Prepare sets the options of Listen on a socket that another process opened. Sockets that were accepted before don't get
// them. It undoes an SO_SNDBUF, which would bound the bytes that are sent and not acknowledged.
func Prepare(ln *net.TCPListener, cfg ListenConfig) error {
	raw, err := ln.SyscallConn()
	if err != nil {
		return err
	}
	cfg.ReusePort = false // to be set before a socket is bound
	failed := error(nil)
	err = raw.Control(func(fd uintptr) {
		unlockSendBuffer(int(fd))
		failed = setOptions(int(fd), cfg)
	})
	return errors.Join(err, failed)
}

// unlockSendBuffer lets the kernel size a socket's send buffer again. It does nothing before Linux 5.14.
func unlockSendBuffer(fd int) {
	const sendLock = 1 // SOCK_SNDBUF_LOCK
	if locks, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BUF_LOCK); err == nil && locks&sendLock != 0 {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BUF_LOCK, locks&^sendLock)
	}
}

// setOptions prepares a socket before it listens. Keepalive ends sockets that get no pings: those that linger, or wait for a
// request.
func setOptions(fd int, cfg ListenConfig) error {
	type option struct{ level, name, value int }
	options := []option{
		{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
		{unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, max(cfg.Unsent, leastUnsent)},
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, int((2 * time.Minute).Seconds())},
		{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, int((30 * time.Second).Seconds())},
		{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 4},
	}
	if cfg.ReusePort {
		options = append(options, option{unix.SOL_SOCKET, unix.SO_REUSEPORT, 1})
	}
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return fmt.Errorf("setsockopt(%d, %d, %d): %w", o.level, o.name, o.value, err)
		}
	}
	return nil
}

// takeOver returns the listener's descriptor and takes it from Go's runtime, which would be woken for every client.
func takeOver(ln *net.TCPListener) (int, error) {
	defer ln.Close() // a duplicate goes on listening
	raw, err := ln.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd, failed := -1, error(nil)
	err = raw.Control(func(old uintptr) { fd, failed = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) })
	return fd, errors.Join(err, failed)
}
