package swarm

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// dialer opens sockets from source addresses in turn: a pair of addresses has
// only so many ports (net.ipv4.ip_local_port_range, 28,000 by default), and
// those of closed connections rest for a minute.
type dialer struct {
	server         unix.SockaddrInet4
	first, sources int
}

func newDialer(cfg Config) *dialer {
	return &dialer{
		server:  unix.SockaddrInet4{Addr: cfg.Server.Addr().As4(), Port: int(cfg.Server.Port())},
		first:   cfg.FirstSource,
		sources: cfg.Sources,
	}
}

// source is 127.0.0.2 and on, without those to be left out.
func (d *dialer) source(n int) unix.SockaddrInet4 {
	return unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, byte(2 + d.first + n%d.sources)}}
}

// dial starts to connect socket number n, and tries other sources when one has
// no port left.
func (d *dialer) dial(n int) (int, error) {
	var err error
	for try := range d.sources {
		var fd int
		if fd, err = d.dialFrom(d.source(n + try)); err == nil {
			return fd, nil
		}
		if !errors.Is(err, unix.EADDRNOTAVAIL) {
			break
		}
	}
	return -1, err
}

func (d *dialer) dialFrom(source unix.SockaddrInet4) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	if err := connect(fd, &source, &d.server); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func connect(fd int, source, server *unix.SockaddrInet4) error {
	// The port is chosen by connect, which knows the other end, instead of bind,
	// for which a port is taken whatever it is connected to.
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
		return fmt.Errorf("IP_BIND_ADDRESS_NO_PORT: %w", err)
	}
	if err := unix.Bind(fd, source); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	if err := unix.Connect(fd, server); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return fmt.Errorf("connect: %w", err)
	}
	return nil
}
