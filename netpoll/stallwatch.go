package netpoll

import (
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// stallWatch waits for sockets that the kernel takes no bytes for to become
// writable. A connection sits on its epoll only while it is stalled, so that
// the loops' own epolls watch for reading alone and idle connections cost it
// nothing. It has one goroutine, asleep in epoll_wait.
type stallWatch struct {
	epoll int
	stop  int // an eventfd: written to once, to end run

	mu      sync.Mutex
	waiting map[int32]*conn // guarded by mu: by descriptor
}

func newStallWatch() (*stallWatch, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("stall watch: epoll_create1: %w", err)
	}
	stop, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_ = unix.Close(epoll)
		return nil, fmt.Errorf("stall watch: eventfd: %w", err)
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(stop)}
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, stop, &event); err != nil {
		_ = unix.Close(epoll)
		_ = unix.Close(stop)
		return nil, fmt.Errorf("stall watch: epoll_ctl: %w", err)
	}
	return &stallWatch{epoll: epoll, stop: stop, waiting: make(map[int32]*conn)}, nil
}

// watch has c's loop told, once, when c can be written to. c's loop calls it,
// again after each time that it was told.
func (w *stallWatch) watch(c *conn) error {
	event := unix.EpollEvent{Events: unix.EPOLLOUT | unix.EPOLLONESHOT, Fd: c.fd}
	w.mu.Lock()
	defer w.mu.Unlock()
	op := unix.EPOLL_CTL_MOD
	if w.waiting[c.fd] != c {
		op = unix.EPOLL_CTL_ADD
	}
	if err := unix.EpollCtl(w.epoll, op, int(c.fd), &event); err != nil {
		return fmt.Errorf("stall watch: epoll_ctl: %w", err)
	}
	w.waiting[c.fd] = c
	return nil
}

// forget takes c off, before its descriptor is closed and its number given to
// another connection. c's loop calls it.
func (w *stallWatch) forget(c *conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting[c.fd] == c {
		delete(w.waiting, c.fd)
		_ = unix.EpollCtl(w.epoll, unix.EPOLL_CTL_DEL, int(c.fd), nil)
	}
}

// run passes news on until end.
func (w *stallWatch) run() error {
	events := make([]unix.EpollEvent, 128)
	for {
		n, err := unix.EpollWait(w.epoll, events, -1)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("stall watch: epoll_wait: %w", err)
		}
		for _, event := range events[:n] {
			if int(event.Fd) == w.stop {
				return nil
			}
			// A number that was reused since is a connection that stalls too:
			// it tries to write, and waits again.
			if c := w.lookup(event.Fd); c != nil {
				c.loop.mail.post(c)
			}
		}
	}
}

func (w *stallWatch) lookup(fd int32) *conn {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.waiting[fd]
}

// end makes run return.
func (w *stallWatch) end() {
	_, _ = unix.Write(w.stop, []byte{1, 0, 0, 0, 0, 0, 0, 0})
}

// close gives the descriptors back, after run has returned.
func (w *stallWatch) close() {
	_ = unix.Close(w.epoll)
	_ = unix.Close(w.stop)
}
