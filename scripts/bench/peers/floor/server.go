package main

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"roost/bench/peers/site"
)

// server is everything. One goroutine uses it.
type server struct {
	poll, listener, redis int
	conns                 map[int]*conn    // by descriptor
	users                 map[string][]int // descriptors
	in                    [64 << 10]byte
	feed                  []byte // of Redis, what is incomplete
	frame                 []byte
	slots                 int // seconds of a ping interval
}

// conn is one connection. It has a user once it is upgraded.
type conn struct {
	user string
	slot int // second of the interval in which it is pinged
}

func newServer(cfg site.Config) (*server, error) {
	s := &server{conns: map[int]*conn{}, users: map[string][]int{}, slots: max(int(cfg.PingInterval.Seconds()), 1)}
	var err1, err2, err3 error
	s.poll, err1 = unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	s.listener, err2 = listen(cfg.Addr)
	s.redis, err3 = subscribe(cfg.Redis)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	return s, errors.Join(s.watch(s.listener), s.watch(s.redis))
}

func (s *server) watch(fd int) error {
	return unix.EpollCtl(s.poll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
}

// run is the loop.
func (s *server) run() error {
	events := make([]unix.EpollEvent, 512)
	for second, next := 0, time.Now(); ; {
		wait := -1 // nobody to ping
		if len(s.conns) > 0 {
			wait = int(max(time.Until(next).Milliseconds()+1, 0))
		}
		n, err := unix.EpollWait(s.poll, events, wait)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("epoll_wait: %w", err)
		}
		for _, event := range events[:max(n, 0)] {
			if err := s.ready(int(event.Fd)); err != nil {
				return err
			}
		}
		if len(s.conns) > 0 && !time.Now().Before(next) {
			s.ping(second % s.slots)
			second, next = second+1, time.Now().Add(time.Second)
		}
	}
}

func (s *server) ready(fd int) error {
	switch fd {
	case s.listener:
		s.accept()
		return nil
	case s.redis:
		return s.readFeed()
	}
	s.readClient(fd)
	return nil
}

func listen(address string) (int, error) {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return -1, fmt.Errorf("WS_HOST: %w", err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	return fd, errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1), // inherited
		unix.Bind(fd, &unix.SockaddrInet4{Addr: at.Addr().As4(), Port: int(at.Port())}),
		unix.Listen(fd, 65_535))
}
