package httpapi

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// hasWaiting reports whether a client waits to be accepted. accept4(2) takes a descriptor before it looks, so it can fail where
// nobody does, and room made then would be a connection's that has just been accepted.
func (l boundedListener) hasWaiting() bool {
	listener, ok := l.Listener.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := listener.SyscallConn()
	if err != nil {
		return true
	}
	n := 1
	_ = raw.Control(func(fd uintptr) {
		n, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	})
	return err != nil || n > 0
}
