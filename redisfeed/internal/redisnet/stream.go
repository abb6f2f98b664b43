//go:build linux

package redisnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// Stream is a connection that one goroutine reads all day, in batches: what one read(2) brings, which with TLS may be
// several records. Any goroutine may write and close, and Close ends a read that waits.
type Stream struct {
	thread  *threadConn
	watched *watchedConn
	gate    *gate    // between the socket and TLS; nil without TLS
	conn    net.Conn // watched, or TLS on it
}

// Stream connects to addr, host:port or the path of a Unix socket. A read that gets nothing for silence fails with ErrSilent, unless excused reports that nothing
// could be sent which would have been answered; it may be nil.
func (d *Dialer) Stream(ctx context.Context, addr string, silence time.Duration, excused func() bool) (*Stream, error) {
	return withReserve(d, addr, func() (*Stream, error) {
		conn, err := d.connect(ctx, network(addr), addr)
		if err != nil {
			return nil, err
		}
		s := &Stream{}
		if s.thread, err = newThreadConn(conn, silence); err != nil {
			return nil, fmt.Errorf("taking over the socket: %w", err)
		}
		s.watched = &watchedConn{Conn: s.thread, limit: silence, excused: excused}
		s.conn = s.watched
		if d.TLS == nil {
			return s, nil
		}
		s.gate = &gate{Conn: s.conn}
		if s.conn, err = d.secure(ctx, s.gate, addr); err != nil {
			return nil, err
		}
		return s, nil
	})
}

// network is what an address belongs to: the path of a Unix socket begins with a slash.
func network(addr string) string {
	if strings.HasPrefix(addr, "/") {
		return "unix"
	}
	return "tcp"
}

// Read waits for a batch and returns its first part.
func (s *Stream) Read(b []byte) (int, error) { return s.conn.Read(b) }

// Rest returns the next part of the batch, and 0 if there is no more. It does not wait.
func (s *Stream) Rest(b []byte) (int, error) {
	if s.gate == nil {
		return 0, nil
	}
	s.gate.shut = true
	n, err := s.conn.Read(b)
	s.gate.shut = false
	if errors.Is(err, errShut) {
		err = nil
	}
	return n, err
}

// Full reports whether more may wait in the socket behind what the latest Read brought, because TLS read all that it had
// room for. Without TLS the caller of Read knows by the room that it gave.
func (s *Stream) Full() bool { return s.gate != nil && s.gate.full }

// Write writes all of b.
func (s *Stream) Write(b []byte) (int, error) { return s.conn.Write(b) }

// Close closes the socket without a word of TLS, for which a peer that takes nothing would have to be waited for.
func (s *Stream) Close() error { return s.thread.Close() }

// gate keeps TLS from waiting for the socket while it is shut. It belongs to the reader.
type gate struct {
	net.Conn
	shut bool
	full bool // the latest read from the socket had no room for more
}

// errShut is temporary, which TLS takes for no reason to give the connection up: it only ends the read.
var errShut net.Error = shutError{}

type shutError struct{}

func (shutError) Error() string   { return "the batch has ended" }
func (shutError) Timeout() bool   { return true }
func (shutError) Temporary() bool { return true }

func (g *gate) Read(b []byte) (int, error) {
	if g.shut {
		return 0, errShut
	}
	n, err := g.Conn.Read(b)
	g.full = n == len(b)
	return n, err
}
