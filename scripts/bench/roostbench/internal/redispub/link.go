package redispub

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// maxUnanswered is how many answers may be missing before the publisher waits
// for some: Redis has to keep them in memory.
const maxUnanswered = 10_000

// link is a connection to Redis. Answers are looked at now and then only, so
// that they cost no wake-up each.
type link struct {
	fd      int
	sent    int
	replies replies
	buffer  []byte
}

func dial(address netip.AddrPort) (*link, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	err = unix.Connect(fd, &unix.SockaddrInet4{Addr: address.Addr().As4(), Port: int(address.Port())})
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	if err == nil { // Redis that hangs must not hang us
		err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10})
	}
	if err == nil {
		err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &unix.Timeval{Sec: 10})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("redis at %s: %w", address, err), unix.Close(fd))
	}
	return &link{fd: fd, buffer: make([]byte, 64<<10)}, nil
}

// send writes commands, count of them.
func (l *link) send(commands []byte, count int) error {
	l.sent += count
	for len(commands) > 0 {
		n, err := unix.Write(l.fd, commands)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("writing to redis: %w", err)
		}
		commands = commands[max(n, 0):]
	}
	if l.sent-l.replies.count < maxUnanswered/20 {
		return nil
	}
	if err := l.receive(unix.MSG_DONTWAIT); err != nil {
		return err
	}
	return l.awaitAnswers(maxUnanswered)
}

// awaitAnswers waits until fewer than unanswered answers are missing.
func (l *link) awaitAnswers(unanswered int) error {
	for l.sent-l.replies.count >= max(unanswered, 1) {
		if err := l.receive(0); err != nil {
			return err
		}
	}
	return nil
}

// receive takes the answers that have come, or with flags 0 waits for some.
func (l *link) receive(flags int) error {
	n, _, err := unix.Recvfrom(l.fd, l.buffer, flags)
	switch {
	case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN) && flags != 0:
		return nil
	case err != nil:
		return fmt.Errorf("reading from redis: %w", err)
	case n == 0:
		return errors.New("redis closed the connection")
	}
	return l.replies.take(l.buffer[:n])
}

func (l *link) close() error { return unix.Close(l.fd) }
