package netpoll

import (
	"testing"

	"golang.org/x/sys/unix"
)

// A poller that is closed twice leaves alone what has its descriptor's number by then. This test is not parallel: others
// would take the number.
func TestPollerIsClosedOnce(t *testing.T) {
	var p poller
	if err := p.open(); err != nil {
		t.Fatal(err)
	}
	p.close()
	fd, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, p.epoll)
	if err != nil {
		t.Fatal(err)
	}
	p.close()
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
		t.Fatalf("what has the number now was closed: %v", err)
	}
	_ = unix.Close(fd)
}
