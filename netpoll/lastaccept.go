package netpoll

import (
	"context"
	"time"

	"golang.org/x/sys/unix"
)

// settleTime is how long handshakes of TCP that have begun may take to come into the
// accept queue, before that is emptied for the last time.
const settleTime = 200 * time.Millisecond

// StopAccepting closes the port and keeps the connections. Whoever has connected by
// then is accepted and gets its answer: to close a listener resets what waits in its
// queue. So no new connect is let in first, then the queue is emptied, and then the
// socket closed. This takes a fifth of a second; ctx cuts it short.
//
// shared says that another process has the same socket, or will. Then it is only let
// go of: what waits in the queue waits for the other.
//
// Further calls do nothing. Any goroutine but a loop.
func (s *Server) StopAccepting(ctx context.Context, shared bool) {
	defer s.port.close()
	if shared || !s.port.letNobodyIn() {
		return
	}
	wait(ctx, settleTime)
	emptied := make(chan struct{})
	l := s.port.fewest()
	l.do(func() { l.acceptLast(); close(emptied) })
	select {
	case <-emptied:
	case <-ctx.Done():
	}
}

// wait waits for d, or until ctx ends.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// noSYN is a socket filter, run by the kernel on each packet from its TCP header on:
// it drops those that ask for a connection (SYN without ACK) and lets all others
// pass, the last one of a handshake that has begun among them.
var noSYN = []unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 13}, // the flags
	{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: 0x02, Jf: 2},
	{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: 0x10, Jt: 1},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	{Code: unix.BPF_RET | unix.BPF_K, K: 1 << 18},
}

// letNobodyIn has the kernel pass over new connects: clients ask again after a second,
// and find the port closed. It reports whether the port was open. Where there are
// no socket filters, a connect in the instant between emptying the queue and
// closing is reset.
func (p *port) letNobodyIn() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fd == 0 {
		return false
	}
	_ = unix.SetsockoptSockFprog(p.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(noSYN)), Filter: &noSYN[0]})
	return true
}

// acceptLast accepts everybody who waits, and closes the port before anybody else
// can come.
func (l *loop) acceptLast() {
	p := &l.server.port
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.fd != 0 {
		switch err := l.acceptNext(); err {
		case nil, unix.EINTR, unix.ECONNABORTED:
		case unix.EAGAIN:
			p.shut()
		default: // out of descriptors: the rest can't be helped
			l.server.accepts.errors.Add(1)
			p.shut()
		}
	}
}
