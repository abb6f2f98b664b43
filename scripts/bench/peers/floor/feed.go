package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// subscribe connects to Redis.
func subscribe(address string) (int, error) {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return -1, fmt.Errorf("REDIS_HOST: %w", err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: at.Addr().As4(), Port: int(at.Port())}); err != nil {
		return -1, fmt.Errorf("redis: %w", err)
	}
	_, err = unix.Write(fd, []byte("PSUBSCRIBE user_noti:*\r\n"))
	return fd, errors.Join(err, unix.SetNonblock(fd, true))
}

var errFeed = errors.New("redis says what is not a message")

// readFeed takes what Redis has sent.
func (s *server) readFeed() error {
	n, err := unix.Read(s.redis, s.in[:])
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return nil
	}
	if err != nil || n == 0 {
		return fmt.Errorf("redis has gone: %w", errors.Join(err))
	}
	in := s.in[:n]
	if len(s.feed) > 0 {
		s.feed = append(s.feed, in...)
		in = s.feed
	}
	for {
		rest, ok, err := s.message(in)
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		in = rest
	}
	s.feed = append(s.feed[:0], in...)
	return nil
}

// message handles the first reply: an array of strings (or, once subscribed, a
// number last). Incomplete ones are not ok.
func (s *server) message(in []byte) (rest []byte, ok bool, err error) {
	count, in, ok, err := number(in, '*')
	if !ok || err != nil {
		return nil, false, err
	}
	var parts [4][]byte
	for i := range count {
		if i >= len(parts) {
			return nil, false, errFeed
		}
		if len(in) > 0 && in[0] == ':' {
			if _, in, ok, err = number(in, ':'); !ok || err != nil {
				return nil, false, err
			}
			continue
		}
		var size int
		if size, in, ok, err = number(in, '$'); !ok || err != nil || len(in) < size+2 {
			return nil, false, err
		}
		parts[i], in = in[:size], in[size+2:]
	}
	if count == 4 {
		s.deliver(string(bytes.TrimPrefix(parts[2], []byte("user_noti:"))), parts[3])
	}
	return in, true, nil
}

// number reads "*4\r\n".
func number(in []byte, kind byte) (n int, rest []byte, ok bool, err error) {
	end := bytes.IndexByte(in, '\n')
	if end < 0 {
		return 0, nil, false, nil
	}
	if in[0] != kind || end < 2 {
		return 0, nil, false, fmt.Errorf("%w: %.50q", errFeed, in)
	}
	n, err = strconv.Atoi(string(in[1 : end-1]))
	return n, in[end+1:], err == nil && n >= 0, err
}

// deliver writes one frame to each connection of a user.
func (s *server) deliver(user string, payload []byte) {
	fds := s.users[user]
	if len(fds) == 0 {
		return
	}
	s.frame = appendHeader(s.frame[:0], len(payload))
	s.frame = append(s.frame, payload...)
	for i := len(fds) - 1; i >= 0; i-- { // backwards, since one that fails is taken out
		s.write(fds[i], s.frame)
	}
}

// appendHeader begins a text frame.
func appendHeader(dst []byte, size int) []byte {
	if size < 126 {
		return append(dst, 0x81, byte(size))
	}
	return binary.BigEndian.AppendUint16(append(dst, 0x81, 126), uint16(size))
}
