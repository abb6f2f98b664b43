package netpoll

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// The events that are not about a client's descriptor.
const (
	wakeMark = -1 // the loop is to wake
	portMark = -2 // clients wait to be accepted
	tlsMark  = -3 // the same, on the TLS port
)

// poller is one loop's epoll, with an eventfd that wakes the loop. All of it may be
// called from any goroutine but wait, which is its loop's.
type poller struct {
	epoll int // static

	mu    sync.RWMutex // held by close against wake: a descriptor's number is given away again
	waker int          // guarded by mu: an eventfd; -1 once closed
}

// open makes the descriptors.
func (p *poller) open() error {
	var err error
	if p.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("epoll_create1: %w", err)
	}
	if p.waker, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		_ = unix.Close(p.epoll)
		return fmt.Errorf("eventfd: %w", err)
	}
	// Edge-triggered: each wake is an event, and nothing has to be read.
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: wakeMark}
	if err := unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, p.waker, &event); err != nil {
		p.close()
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	return nil
}

// wake makes wait return. After close it does nothing.
func (p *poller) wake() {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.waker >= 0 {
		_, _ = unix.Write(p.waker, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
}

// add has fd watched for reading; its events carry mark.
func (p *poller) add(fd int, mark int32) error {
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: mark}
	return unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, fd, &event)
}

// watchWriting has a client's descriptor watched for writing too, or no longer.
func (p *poller) watchWriting(fd int32, on bool) error {
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: fd}
	if on {
		event.Events |= unix.EPOLLOUT
	}
	return unix.EpollCtl(p.epoll, unix.EPOLL_CTL_MOD, int(fd), &event)
}

// remove ends watching a descriptor that stays open. The kernel removes one
// that is closed.
func (p *poller) remove(fd int) { _ = unix.EpollCtl(p.epoll, unix.EPOLL_CTL_DEL, fd, nil) }

// wait returns how many events there are, after timeout milliseconds at the
// latest; -1 is no limit.
func (p *poller) wait(events []unix.EpollEvent, timeout int) (int, error) {
	n, err := unix.EpollWait(p.epoll, events, timeout)
	if err == unix.EINTR {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("epoll_wait: %w", err)
	}
	return n, nil
}

// close gives the descriptors back, once: their numbers may be others' soon. The loop has ended by then.
func (p *poller) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waker < 0 {
		return
	}
	_ = unix.Close(p.waker)
	_ = unix.Close(p.epoll)
	p.waker = -1
}
