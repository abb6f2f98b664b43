package main

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"slices"

	"golang.org/x/sys/unix"
)

// accept takes all that wait.
func (s *server) accept() {
	for {
		fd, _, err := unix.Accept4(s.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		if s.watch(fd) != nil {
			_ = unix.Close(fd)
			continue
		}
		s.conns[fd] = &conn{slot: len(s.conns) % s.slots}
	}
}

// readClient takes a request, whole in one piece, or anything later, of which
// only a close frame is answered.
func (s *server) readClient(fd int) {
	n, err := unix.Read(fd, s.in[:])
	if err == unix.EAGAIN || err == unix.EINTR {
		return
	}
	c := s.conns[fd]
	if err != nil || n <= 0 {
		s.end(fd)
		return
	}
	if c.user == "" {
		s.upgrade(fd, c, s.in[:n])
		return
	}
	if s.in[0]&0x0f == 8 {
		s.write(fd, []byte{0x88, 0})
		s.end(fd)
	}
}

func (s *server) upgrade(fd int, c *conn, head []byte) {
	if bytes.HasPrefix(head, []byte("GET /health")) {
		s.write(fd, []byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
		s.end(fd)
		return
	}
	user, key := subject(head), between(head, "Sec-WebSocket-Key: ", "\r\n")
	if user == "" || key == nil {
		s.end(fd)
		return
	}
	c.user = user
	s.users[user] = append(s.users[user], fd)
	sum := sha1.Sum(append(key, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"...))
	answer := []byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ")
	answer = base64.StdEncoding.AppendEncode(answer, sum[:])
	s.write(fd, append(answer, "\r\n\r\n"...))
}

// subject reads the token's sub and believes it.
func subject(head []byte) string {
	claims, err := base64.RawURLEncoding.AppendDecode(nil, between(between(head, "token=", " "), ".", "."))
	if err != nil {
		return ""
	}
	return string(between(claims, `"sub":"`, `"`))
}

// between is a copy of what stands between two words, or nil.
func between(text []byte, before, after string) []byte {
	_, rest, found := bytes.Cut(text, []byte(before))
	in, _, ended := bytes.Cut(rest, []byte(after))
	if !found || !ended {
		return nil
	}
	return bytes.Clone(in)
}

// write writes all or ends the connection.
func (s *server) write(fd int, buf []byte) {
	if n, err := unix.Write(fd, buf); err != nil || n < len(buf) {
		s.end(fd)
	}
}

func (s *server) end(fd int) {
	c := s.conns[fd]
	if c == nil {
		return
	}
	delete(s.conns, fd)
	if c.user != "" {
		others := slices.DeleteFunc(s.users[c.user], func(other int) bool { return other == fd })
		s.users[c.user] = others
		if len(others) == 0 {
			delete(s.users, c.user)
		}
	}
	_ = unix.Close(fd)
}

// ping pings a share of the connections.
func (s *server) ping(slot int) {
	for fd, c := range s.conns {
		if c.user != "" && c.slot == slot {
			s.write(fd, []byte{0x89, 0})
		}
	}
}
