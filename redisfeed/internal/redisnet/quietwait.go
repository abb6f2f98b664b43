//go:build linux

package redisnet

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// quietWait waits for a quiet socket in Go's poller, where a thread that sleeps in read(2) keeps Go's scheduler awake: it
// looks every few microseconds, for 10 ms, whether it can take the processor back that the thread came with. The socket is
// in an epoll of its own, which reports it once for each wait: in Go's poller itself each packet would wake that, in all
// other reads too. It belongs to the reader, but for close.
type quietWait struct {
	socket syscall.RawConn
	epoll  *os.File
	raw    syscall.RawConn // of epoll
}

// oneShot reports a socket once, when it can be read or has ended.
const oneShot = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLONESHOT

// newQuietWait is for a socket.
func newQuietWait(socket syscall.RawConn) (*quietWait, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	if err := unix.SetNonblock(epoll, true); err != nil { // or os.NewFile keeps it out of Go's poller
		_ = unix.Close(epoll)
		return nil, fmt.Errorf("preparing an epoll: %w", err)
	}
	w := &quietWait{socket: socket, epoll: os.NewFile(uintptr(epoll), "redis's epoll")}
	if w.raw, err = w.epoll.SyscallConn(); err == nil {
		err = w.control(unix.EPOLL_CTL_ADD, 0)
	}
	if err != nil {
		_ = w.epoll.Close()
		return nil, err
	}
	return w, nil
}

// wait returns nil when the socket can be read or has ended, and os.ErrDeadlineExceeded after limit.
func (w *quietWait) wait(limit time.Duration) error {
	if err := w.epoll.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	if err := w.control(unix.EPOLL_CTL_MOD, oneShot); err != nil {
		return err
	}
	var events [1]unix.EpollEvent
	return w.raw.Read(func(epoll uintptr) bool {
		n, err := unix.EpollWait(int(epoll), events[:], 0)
		return n > 0 || err != nil && err != unix.EINTR
	})
}

// control is epoll_ctl for the socket.
func (w *quietWait) control(op int, events uint32) error {
	var failed, closed error
	err := w.raw.Control(func(epoll uintptr) {
		closed = w.socket.Control(func(fd uintptr) {
			failed = unix.EpollCtl(int(epoll), op, int(fd), &unix.EpollEvent{Events: events})
		})
	})
	return errors.Join(err, closed, failed)
}

// close ends a wait. Any goroutine.
func (w *quietWait) close() { _ = w.epoll.Close() }
