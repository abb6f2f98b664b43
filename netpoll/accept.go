package netpoll

import (
	"time"

	"golang.org/x/sys/unix"
)

// acceptBatch is how many clients a loop accepts in a row: a storm must not keep
// it from those that it has.
const acceptBatch = 32

// accept takes clients from the listening socket, and passes that on.
func (l *loop) accept() {
	s := l.server
	s.port.mu.Lock()
	defer s.port.mu.Unlock()
	if s.port.at != l {
		return // an event from before it was passed on
	}
	for range acceptBatch {
		fd, err := acceptOne(s.port.fd)
		switch err {
		case nil:
			s.accepts.accepted.Add(1)
			s.port.backoff = 0
			l.welcome(fd)
		case unix.EINTR, unix.ECONNABORTED:
		case unix.EAGAIN:
			s.port.passOn()
			return
		default:
			s.port.restAWhile(err)
			return
		}
	}
	s.port.passOn()
}

// acceptPauses counts and tells why nobody is accepted for a while.
func (s *Server) acceptPauses(err error, pause time.Duration) {
	s.accepts.errors.Add(1)
	s.acceptLog.acceptFailed(err, pause)
}

// acceptOne is accept4(2) without the address, which few want to know.
func acceptOne(fd int) (int, error) {
	client, _, errno := unix.Syscall6(unix.SYS_ACCEPT4, uintptr(fd), 0, 0, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if errno != 0 {
		return -1, errno
	}
	return int(client), nil
}

// welcome opens a connection for a socket, or closes it where there is no room.
func (l *loop) welcome(fd int) {
	s := l.server
	if n, most := s.socketCame(), s.rules.Load().MaxSockets; most > 0 && n > int64(most) && !l.makeRoom() {
		s.turnAway(fd, awayDescriptors)
		s.acceptLog.turnedAway(awayDescriptors, nil)
		return
	}
	if err := l.poll.add(fd, int32(fd)); err != nil {
		s.turnAway(fd, awayWatch)
		s.acceptLog.turnedAway(awayWatch, err)
		return
	}
	l.open(fd)
}

// turnAway closes a socket without an answer and gives its place back.
func (s *Server) turnAway(fd int, why turnedAway) {
	_ = unix.Close(fd)
	s.accepts.turnedAway[why].Add(1)
	s.socketGone()
}
