package netpoll

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// reserve is a descriptor that is kept aside. When the process, or the machine, has none
// left because others took them, it is closed so that one client more can be accepted,
// and answered: /health is, and handshakes are told that there is no room. As long as
// it is lent nobody is admitted. Any goroutine. The zero value is lent.
type reserve struct {
	held atomic.Bool // written under mu

	mu sync.Mutex
	fd int // guarded by mu; an eventfd, which costs least
}

// hold has it kept aside again, and reports whether it is.
func (r *reserve) hold() bool {
	if r.held.Load() {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held.Load() {
		return true
	}
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return false
	}
	r.fd = fd
	r.held.Store(true)
	return true
}

// lend closes it, and reports whether it was there to lend.
func (r *reserve) lend() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.held.Load() {
		return false
	}
	r.held.Store(false)
	_ = unix.Close(r.fd)
	return true
}

// lent reports whether it is not there.
func (r *reserve) lent() bool { return !r.held.Load() }
