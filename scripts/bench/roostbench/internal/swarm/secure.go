package swarm

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"time"
)

// secure is TLS around a connection, by crypto/tls over bytes that the loop brings: no goroutine waits, but the client holds
// some 15 KB for each connection. The certificate is not checked: the server is on this machine.
type secure struct {
	conn   *tls.Conn
	in     []byte // what came and was not used
	out    []byte // what has to be sent
	yield  func() bool
	resume func() (struct{}, bool)
	stop   func() // gives up a handshake that is not done
	err    error  // of the handshake
	done   bool
}

// beginTLS starts a handshake, whose first bytes are in out.
func beginTLS(config *tls.Config) *secure {
	s := new(secure)
	s.conn = tls.Client(s, config)
	// The handshake is a coroutine that stands still where it needs more.
	s.resume, s.stop = iter.Pull(func(yield func(struct{}) bool) {
		s.yield = func() bool { return yield(struct{}{}) }
		s.err = s.conn.Handshake()
	})
	s.step()
	return s
}

// step goes on with the handshake until it needs more.
func (s *secure) step() {
	if _, more := s.resume(); !more {
		s.done, s.yield = true, nil
	}
}

// receive takes what came, and returns what is to be written now and what is readable.
func (s *secure) receive(in, buf []byte) (plain []byte, err error) {
	s.in = append(s.in, in...)
	if !s.done {
		s.step()
	}
	if s.err != nil {
		return nil, fmt.Errorf("TLS: %w", s.err)
	}
	for s.done {
		n, err := s.conn.Read(buf)
		plain = append(plain, buf[:n]...)
		switch {
		case err == nil:
		case errors.Is(err, errNothingYet):
			if len(s.in) == 0 {
				s.in = nil
			}
			return plain, nil
		case errors.Is(err, io.EOF):
			return plain, errEOF
		default:
			return plain, fmt.Errorf("TLS: %w", err)
		}
	}
	return plain, nil
}

// seal returns the records that carry b, after whatever else has to be sent.
func (s *secure) seal(b []byte) ([]byte, error) {
	_, err := s.conn.Write(b)
	return s.take(), err
}

// take returns what has to be sent.
func (s *secure) take() []byte {
	out := s.out
	s.out = nil
	return out
}

// nothingYet is an error after which crypto/tls goes on: it keeps no read error that is temporary.
type nothingYet struct{}

var errNothingYet = nothingYet{}

func (nothingYet) Error() string   { return "nothing to read yet" }
func (nothingYet) Timeout() bool   { return true }
func (nothingYet) Temporary() bool { return true }

// Read and what follows make a secure the socket of its tls.Conn.
func (s *secure) Read(p []byte) (int, error) {
	for len(s.in) == 0 {
		if s.done || s.yield == nil {
			return 0, errNothingYet
		}
		if !s.yield() {
			return 0, net.ErrClosed
		}
	}
	n := copy(p, s.in)
	s.in = s.in[n:]
	return n, nil
}

func (s *secure) Write(p []byte) (int, error) {
	s.out = append(s.out, p...)
	return len(p), nil
}

func (s *secure) Close() error                     { return nil }
func (s *secure) LocalAddr() net.Addr              { return nil }
func (s *secure) RemoteAddr() net.Addr             { return nil }
func (s *secure) SetDeadline(time.Time) error      { return nil }
func (s *secure) SetReadDeadline(time.Time) error  { return nil }
func (s *secure) SetWriteDeadline(time.Time) error { return nil }
