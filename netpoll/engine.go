package netpoll

import (
	"fmt"
	"net"
	"os"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// startLoops starts gnet and meets its loops.
//
// gnet runs as a client, since as a server it owns the listener: an accept that
// fails for want of descriptors would end the engine with every connection on
// it, and the listener could not be paused, closed first, or inherited.
func (s *Server) startLoops() error {
	client, err := gnet.NewClient(&handler{server: s},
		gnet.WithNumEventLoop(s.cfg.Loops), // gnet would count the host's processors, not the cgroup's
		gnet.WithReadBufferCap(s.cfg.ReadBuffer),
		gnet.WithTCPNoDelay(gnet.TCPDelay), // Go has set TCP_NODELAY at accept
		gnet.WithLogger(gnetLog{s.log}))
	if err != nil {
		return fmt.Errorf("making the event loops: %w", err)
	}
	if err := client.Start(); err != nil {
		return fmt.Errorf("starting the event loops: %w", err)
	}
	s.client = client
	for i := range s.cfg.Loops {
		if err := s.meetLoop(i); err != nil {
			s.stopEngine()
			return err
		}
	}
	return nil
}

// meetLoop enrolls one end of a socket pair, the loop's bell. gnet has no list
// of its loops; but it gives each new socket to the loop with the fewest, so as
// many bells as there are loops meet each loop once.
func (s *Server) meetLoop(index int) error {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socketpair: %w", err)
	}
	l := newLoop(s, index)
	l.bell = pair[1]
	s.loops = append(s.loops, l)

	file := os.NewFile(uintptr(pair[0]), "bell")
	sock, err := net.FileConn(file)
	_ = file.Close()
	if err != nil {
		return fmt.Errorf("making a loop's bell: %w", err)
	}
	if _, err := s.client.EnrollContext(sock, l); err != nil {
		return fmt.Errorf("enrolling a loop's bell: %w", err)
	}
	if l.engine == nil || s.loopOf(l.engine) != l {
		return fmt.Errorf("event loop %d did not introduce itself", index)
	}
	return nil
}

// loopOf finds our part of one of gnet's loops. There are a few dozen at most.
func (s *Server) loopOf(engine gnet.EventLoop) *loop {
	for _, l := range s.loops {
		if l.engine == engine {
			return l
		}
	}
	return nil
}

// stopLoops ends everything that New started. Sockets that are left are cut.
// Whatever could still wake a loop ends before it: gnet would write to an
// eventfd whose number may be another file's by then.
func (s *Server) stopLoops() {
	s.probing.Wait()
	s.stalls.end()
	s.watching.Wait()
	for _, l := range s.loops {
		l.mail.close()
		l.ended.Store(true)
		l.timer.Stop()
	}
	s.stopEngine()
	for _, l := range s.loops {
		l.abandonMail()
	}
	s.stalls.close()
}

// stopEngine ends gnet. No socket may be on its way into a loop any more: it
// would wait for ever.
func (s *Server) stopEngine() {
	if err := s.client.Stop(); err != nil {
		s.log.Error("stopping the event loops", "error", err)
	}
	for _, l := range s.loops {
		_ = unix.Close(l.bell)
	}
}
