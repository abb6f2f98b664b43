package netpoll

import (
	"net/netip"
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
		switch err := l.acceptNext(); err {
		case nil:
			s.port.backoff = 0
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

// acceptNext accepts one client, and makes room for it where descriptors have run
// out. The caller holds the port's lock.
func (l *loop) acceptNext() error {
	s := l.server
	fd, peer, err := s.port.accept()
	for tries := 0; outOfDescriptors(err) && tries < 3; tries++ {
		if !s.port.waited() {
			return unix.EAGAIN // the kernel asks for a descriptor before it looks whether anybody is there
		}
		if !l.freeDescriptor() {
			return err
		}
		s.accepts.errors.Add(1)
		s.acceptLog.acceptFailed(err, 0)
		fd, peer, err = s.port.accept()
	}
	if err != nil {
		return err
	}
	s.accepts.accepted.Add(1)
	l.welcome(fd, peer)
	return nil
}

func outOfDescriptors(err error) bool { return err == unix.EMFILE || err == unix.ENFILE }

// acceptPauses counts and tells why nobody is accepted for a while.
func (s *Server) acceptPauses(err error, pause time.Duration) {
	s.accepts.errors.Add(1)
	s.acceptLog.acceptFailed(err, pause)
}

// welcome opens a connection for a socket, or closes it where there is no room.
func (l *loop) welcome(fd int, peer netip.AddrPort) {
	s := l.server
	if n, most := s.socketCame(), s.rules.Load().MaxSockets; most > 0 && n > int64(most) && !l.makesRoom() {
		s.turnAway(fd, awayDescriptors)
		s.acceptLog.turnedAway(awayDescriptors, nil)
		return
	}
	if err := l.poll.add(fd, int32(fd)); err != nil {
		s.turnAway(fd, awayWatch)
		s.acceptLog.turnedAway(awayWatch, err)
		return
	}
	c := l.open(fd, peer)
	if s.reserve.lent() {
		// The next one may need this descriptor: whoever has asked by now is answered at once.
		l.socket(c, unix.EPOLLIN)
	}
}

// makesRoom is makeRoom where soon will do.
func (l *loop) makesRoom() bool {
	now, soon := l.makeRoom()
	return now || soon
}

// turnAway closes a socket without an answer and gives its place back.
func (s *Server) turnAway(fd int, why turnedAway) {
	_ = unix.Close(fd)
	s.accepts.turnedAway[why].Add(1)
	s.socketGone()
}
