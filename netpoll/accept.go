package netpoll

import (
	"errors"
	"net"
	"time"
)

// Pauses after a failed accept, as net/http has them: out of descriptors or
// memory, all that helps is that something else is closed.
const (
	firstPause = 5 * time.Millisecond
	maxPause   = time.Second
)

// accept takes connections from the listener until it is closed. Several
// goroutines run it: enrolling one waits for the loop that gets it.
func (s *Server) accept(ln net.Listener) {
	pause := time.Duration(0)
	for {
		sock, err := ln.Accept()
		switch {
		case err == nil:
			pause = 0
			s.accepts.accepted.Add(1)
			s.enroll(sock)
		case errors.Is(err, net.ErrClosed):
			return
		default:
			s.accepts.errors.Add(1)
			pause = min(max(2*pause, firstPause), maxPause)
			s.acceptLog.acceptFailed(err, pause)
			s.wait(pause)
		}
	}
}

// enroll hands a socket to a loop, or closes it where there is no room. It owns
// the socket from here on.
func (s *Server) enroll(sock net.Conn) {
	if n := s.socketCame(); s.cfg.MaxSockets > 0 && n > int64(s.cfg.MaxSockets) {
		s.turnAway(sock, awayDescriptors)
		s.acceptLog.turnedAway(awayDescriptors, nil)
		return
	}
	if s.stopping.Load() {
		s.turnAway(sock, awayClosing)
		return
	}
	c := &conn{heard: s.now()}
	_, err := s.client.EnrollContext(sock, c)
	if err != nil || c.loop == nil {
		// gnet says nothing when its epoll refuses a socket; that OnOpen did
		// not run by now tells.
		s.turnAway(sock, awayEnroll)
		s.acceptLog.turnedAway(awayEnroll, err)
	}
}

// turnAway closes a socket without an answer and gives its place back.
func (s *Server) turnAway(sock net.Conn, why turnedAway) {
	_ = sock.Close()
	s.accepts.turnedAway[why].Add(1)
	s.socketGone()
}

// wait sleeps, or until the listener closes.
func (s *Server) wait(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-s.deaf:
	case <-timer.C:
	}
}
