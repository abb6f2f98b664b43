//go:build linux

package redisnet

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A Stream without TLS can go to another process on this host, which reads on where this one stopped. Until that is certain this
// process only waits (Await), and takes nothing from the socket.

// Await waits until Read has something, or an error, and takes nothing of it. It fails as Read does where nothing comes. Only
// without TLS, where all that was read is with the caller. The reader calls it.
func (s *Stream) Await() error {
	for {
		start := time.Now()
		err := s.thread.await()
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		if err := s.watched.silent(start); err != nil {
			return err
		}
	}
}

// await waits in Go's poller until something can be read.
func (c *threadConn) await() error {
	c.quiet = false // Read has not to wait again
	return c.wait.wait(c.limit)
}

// Duplicate returns another descriptor of the socket, which is the caller's to close. Any goroutine.
func (s *Stream) Duplicate() (fd int, err error) { return duplicate(s.thread.file) }

// Release has Close leave the connection open for another process that has it. Nobody may be in Read or Write, or call them
// from now on. Any goroutine.
func (s *Stream) Release() { s.thread.released.Store(true) }

// IsStream reports whether a descriptor is a socket that TakeOverStream can go on with. It changes nothing.
func IsStream(fd int) bool {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	return err == nil && kind == unix.SOCK_STREAM
}

// TakeOverStream goes on with a connection to Redis that another process has released. It takes over fd, and closes it if it fails.
// The others are as for Dialer.Stream.
func TakeOverStream(fd int, silence time.Duration, excused func() bool) (*Stream, error) {
	thread, err := threadConnOf(fd, silence, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("taking over the connection to redis: %w", err)
	}
	watched := &watchedConn{Conn: thread, limit: silence, excused: excused}
	return &Stream{thread: thread, watched: watched, conn: watched}, nil
}
