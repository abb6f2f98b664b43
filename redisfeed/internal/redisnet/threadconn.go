//go:build linux

package redisnet

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// threadConn is a socket whose reader waits in read(2) itself, with a thread of its own, and not in Go's poller. The
// feed reads all day on one socket: the poller would cost it more system calls and a pass of the scheduler for each
// wake-up, where the kernel can hand the bytes to the thread that sleeps. While little comes it waits in Go's poller after
// all, see quietWait.
//
// A read gives up with os.ErrDeadlineExceeded after the limit that it was made with; deadlines set later are ignored.
// One goroutine reads; any goroutine may write and close, and Close ends a read that waits.
type threadConn struct {
	file          *os.File
	raw           syscall.RawConn // of file
	local, remote net.Addr
	limit         time.Duration
	wait          *quietWait
	released      atomic.Bool // another process has the connection: Close leaves it open

	quiet bool // the reader's: the latest read waited for quietAfter
}

// quietAfter is how long a read has waited after which the next one waits in Go's poller: as long as Go's scheduler stays
// awake for a thread that sleeps in read(2).
const quietAfter = 10 * time.Millisecond

// newThreadConn takes over conn, a TCP or Unix socket, and closes it if it fails.
func newThreadConn(conn net.Conn, limit time.Duration) (*threadConn, error) {
	defer conn.Close() // what goes on is a duplicate
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("a %T is not a socket", conn)
	}
	fd, err := duplicate(socket)
	if err != nil {
		return nil, err
	}
	return threadConnOf(fd, limit, conn.LocalAddr(), conn.RemoteAddr())
}

// threadConnOf takes over a descriptor of a socket, and closes it if it fails.
func threadConnOf(fd int, limit time.Duration, local, remote net.Addr) (*threadConn, error) {
	timeout := unix.NsecToTimeval(limit.Nanoseconds())
	err := errors.Join(unix.SetNonblock(fd, false), unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout))
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("preparing the socket: %w", err)
	}
	c := &threadConn{file: os.NewFile(uintptr(fd), "redis"), local: local, remote: remote, limit: limit}
	if c.raw, err = c.file.SyscallConn(); err == nil {
		c.wait, err = newQuietWait(c.raw)
	}
	if err != nil {
		_ = c.file.Close()
		return nil, err
	}
	return c, nil
}

func duplicate(socket syscall.Conn) (fd int, err error) {
	raw, err := socket.SyscallConn()
	if err != nil {
		return -1, err
	}
	var failed error
	err = raw.Control(func(old uintptr) { fd, failed = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) })
	return fd, errors.Join(err, failed)
}

func (c *threadConn) Read(b []byte) (int, error) {
	began := time.Now()
	if c.quiet {
		if err := c.wait.wait(c.limit); err != nil {
			return 0, err
		}
	}
	n, err := c.file.Read(b)
	c.quiet = time.Since(began) >= quietAfter
	if errors.Is(err, unix.EAGAIN) {
		return n, os.ErrDeadlineExceeded
	}
	return n, err
}

func (c *threadConn) Write(b []byte) (int, error) { return c.file.Write(b) }

// Close shuts the connection first: closing a descriptor does not wake who reads from it. It does not shut one that another
// process has: then nobody may be in Read.
func (c *threadConn) Close() error {
	if !c.released.Load() {
		_ = c.raw.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_RDWR) })
	}
	c.wait.close()
	return c.file.Close()
}

func (c *threadConn) LocalAddr() net.Addr  { return c.local }
func (c *threadConn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline and its like do nothing: Redis's answers are bounded by the limit.
func (c *threadConn) SetDeadline(time.Time) error      { return nil }
func (c *threadConn) SetReadDeadline(time.Time) error  { return nil }
func (c *threadConn) SetWriteDeadline(time.Time) error { return nil }

// ErrSilent ends a read that got nothing for too long.
var ErrSilent = errors.New("nothing came from redis")

// watchedConn ends a read during which not one byte came for the limit, which the socket below it keeps: each of its
// reads fails with os.ErrDeadlineExceeded after so long. The clock runs only inside Read, so a reader that is busy
// elsewhere never loses its link, and it starts again with every piece of a long message. It belongs to one reader.
type watchedConn struct {
	net.Conn
	limit   time.Duration
	excused func() bool // nil: never
}

// Read reads, for no longer than the limit.
func (c *watchedConn) Read(b []byte) (int, error) {
	for {
		start := time.Now()
		n, err := c.Conn.Read(b)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if err := c.silent(start); err != nil {
			return 0, err
		}
	}
}

// silent is the error of a wait that began at start and got nothing for the limit; nil if that proves nothing.
func (c *watchedConn) silent(start time.Time) error {
	// A deadline noticed far too late means that this process was stopped, and published no heartbeats.
	late := time.Since(start) - c.limit
	if late < c.limit/4 && (c.excused == nil || !c.excused()) {
		return fmt.Errorf("%w for %s", ErrSilent, c.limit)
	}
	return nil
}
