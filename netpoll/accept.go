package netpoll

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// listener is a listening socket: that of the plain port, or that of the TLS port. One loop at a time has it in its epoll, and
// after accepting some clients gives it to the loop with the fewest. So every connection is made by the loop that it stays
// with, no two loops are woken for one client, and each loop gets its share.
type listener struct {
	mark   int32 // static once set: of its events
	secure bool  // static once set: its clients speak TLS

	loops     []*loop                              // static once set
	onFailure func(err error, pause time.Duration) // static once set: tells of a failure that makes accepting pause

	mu         sync.Mutex    // held while accepting too, so that fd is not closed meanwhile
	fd         int           // guarded by mu; 0 before open and after close
	owner      *loop         // guarded by mu: has the socket in its epoll; nil while accepting pauses
	backoff    time.Duration // guarded by mu: the last pause, 0 since a client was accepted
	pauseTimer *time.Timer   // guarded by mu: ends the pause
	closed     bool          // guarded by mu: close was called, perhaps before open
	held       bool          // guarded by mu: nothing is accepted until unhold, while connections are handed over
	peer       sockaddr      // guarded by mu: the kernel writes the address of the client here
}

// sockaddr is what accept4(2) writes.
type sockaddr struct {
	any  unix.RawSockaddrAny
	size uint32
}

// accept is accept4(2). The caller holds mu.
func (p *listener) accept() (fd int, peer netip.AddrPort, err error) {
	p.peer.size = unix.SizeofSockaddrAny
	client, _, errno := unix.Syscall6(unix.SYS_ACCEPT4, uintptr(p.fd), uintptr(unsafe.Pointer(&p.peer.any)),
		uintptr(unsafe.Pointer(&p.peer.size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if errno != 0 {
		return -1, peer, errno
	}
	return int(client), p.peer.address(), nil
}

// hasWaiting reports whether a client waits to be accepted. The caller holds mu.
func (p *listener) hasWaiting() bool {
	fds := [1]unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}
	n, _ := unix.Poll(fds[:], 0)
	return n > 0
}

// address returns what the kernel wrote; the zero value if it is not an IP address.
func (s *sockaddr) address() netip.AddrPort {
	switch s.any.Addr.Family {
	case unix.AF_INET:
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(&s.any))
		return netip.AddrPortFrom(netip.AddrFrom4(in.Addr), ntohs(&in.Port))
	case unix.AF_INET6:
		in := (*unix.RawSockaddrInet6)(unsafe.Pointer(&s.any))
		return netip.AddrPortFrom(netip.AddrFrom16(in.Addr).Unmap(), ntohs(&in.Port))
	}
	return netip.AddrPort{}
}

// ntohs reads a port, which is in network byte order.
func ntohs(port *uint16) uint16 { return binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(port))[:]) }

// open begins to accept. It owns fd, which listens and does not block.
func (p *listener) open(fd int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return unix.Close(fd)
	}
	p.fd = fd
	return p.attach(p.leastLoaded())
}

// attach puts the socket on a loop's epoll. The caller holds mu.
func (p *listener) attach(l *loop) error {
	p.owner = l
	return l.poll.add(p.fd, p.mark)
}

// rebalance gives the socket to the loop with the fewest connections. The caller holds mu, and is the owner.
func (p *listener) rebalance() {
	next := p.leastLoaded()
	if next == p.owner || next.stats.sockets.Load() >= p.owner.stats.sockets.Load() {
		return
	}
	p.owner.poll.remove(p.fd)
	if err := p.attach(next); err != nil {
		p.pause(err)
	}
}

// Pauses after a failure, as in net/http: when descriptors or memory have run out, it helps only that something else is
// closed.
const (
	firstPause = 5 * time.Millisecond
	maxPause   = time.Second
)

// pause takes the socket from its loop because of err, for longer each time. The caller holds mu.
func (p *listener) pause(err error) {
	p.backoff = min(max(2*p.backoff, firstPause), maxPause)
	p.onFailure(err, p.backoff)
	p.owner.poll.remove(p.fd)
	p.owner = nil
	p.pauseTimer = time.AfterFunc(p.backoff, p.resume)
}

func (p *listener) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.resumeLocked()
}

// hold stops accepting until unhold. Clients wait in the kernel's queue.
func (p *listener) hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = true
	if p.owner != nil {
		p.owner.poll.remove(p.fd)
		p.owner = nil
	}
}

// unhold accepts again, if the listener is open.
func (p *listener) unhold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = false
	p.resumeLocked()
}

// resumeLocked puts the socket on a loop's epoll again. The caller holds mu.
func (p *listener) resumeLocked() {
	if p.fd == 0 || p.owner != nil || p.held {
		return
	}
	if err := p.attach(p.leastLoaded()); err != nil {
		p.pause(err)
	}
}

// close stops accepting. Further calls do nothing.
func (p *listener) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.fd != 0 {
		p.closeLocked()
	}
}

// closeLocked closes an open socket. The caller holds mu.
func (p *listener) closeLocked() {
	if p.pauseTimer != nil {
		p.pauseTimer.Stop()
	}
	if p.owner != nil { // if another process has the socket too, closing does not remove it from our epoll
		p.owner.poll.remove(p.fd)
	}
	_ = unix.Close(p.fd)
	p.fd, p.owner = 0, nil
}

// leastLoaded returns the loop with the fewest sockets.
func (p *listener) leastLoaded() *loop {
	best := p.loops[0]
	for _, l := range p.loops[1:] {
		if l.stats.sockets.Load() < best.stats.sockets.Load() {
			best = l
		}
	}
	return best
}

// acceptBatch is how many clients a loop accepts in a row: a storm must not keep it from its connections.
const acceptBatch = 32

// accept takes clients from a listening socket, and then gives that to the loop with the fewest.
func (l *loop) accept(ln *listener) {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	if ln.owner != l {
		return // the event is from before another loop got the socket
	}
	for range acceptBatch {
		switch err := l.acceptOne(ln); err {
		case nil:
			ln.backoff = 0
		case unix.EINTR, unix.ECONNABORTED:
		case unix.EAGAIN:
			ln.rebalance()
			return
		default:
			ln.pause(err)
			return
		}
	}
	ln.rebalance()
}

// acceptOne accepts one client and makes its connection, or closes the socket if there is no room. The caller holds the
// listener's lock.
func (l *loop) acceptOne(ln *listener) error {
	s := l.server
	fd, peer, err := ln.accept()
	if outOfDescriptors(err) {
		fd, peer, err = l.acceptFreeing(ln, err)
	}
	if err != nil {
		return err
	}
	s.accepts.accepted.Add(1)
	if n, most := s.socketOpened(), s.rules.Load().MaxSockets; most > 0 && n > int64(most) {
		if now, soon := l.evictSocket(); !now && !soon {
			s.closeUnanswered(fd, unansweredDescriptors, nil)
			return nil
		}
	}
	if err := l.poll.add(fd, int32(fd)); err != nil {
		s.closeUnanswered(fd, unansweredWatch, err)
		return nil
	}
	c := l.newConn(fd, peer, ln.secure)
	if s.spareFD.inUse() {
		// The next client may need this descriptor: one that has sent its request by now is answered at once.
		c.handleEvents(unix.EPOLLIN)
	}
	return nil
}

// newConn makes the connection of a socket. peer is the other end of the socket; secure says that it begins with TLS.
func (l *loop) newConn(fd int, peer netip.AddrPort, secure bool) *conn {
	now := l.server.now()
	c := &conn{loop: l, fd: int32(fd), lastRead: instantOf(now)}
	if secure {
		c.state = stateTLS
	}
	l.server.conns.Set(c.fd, c)
	l.stats.sockets.Add(1)
	c.extra = l.extras.get()
	c.extra.hs = l.newHandshake(c, peer)
	c.setTimer(now + l.server.cfg.HandshakeTimeout)
	return c
}

// acceptFreeing accepts a client when descriptors have run out, by freeing one. err is what accept returned.
func (l *loop) acceptFreeing(ln *listener, err error) (fd int, peer netip.AddrPort, _ error) {
	s := l.server
	for tries := 0; outOfDescriptors(err) && tries < 3; tries++ {
		if !ln.hasWaiting() {
			return -1, peer, unix.EAGAIN // the kernel asks for a descriptor before it looks for a client
		}
		if !l.freeDescriptor() {
			return -1, peer, err
		}
		s.accepts.errors.Add(1)
		s.acceptLog.acceptFailed(err, 0)
		fd, peer, err = ln.accept()
	}
	return fd, peer, err
}

func outOfDescriptors(err error) bool { return err == unix.EMFILE || err == unix.ENFILE }

// acceptFailed counts and logs that accepting pauses.
func (s *Server) acceptFailed(err error, pause time.Duration) {
	s.accepts.errors.Add(1)
	s.acceptLog.acceptFailed(err, pause)
}

// closeUnanswered closes a socket without an answer. err says why, if that was an error.
func (s *Server) closeUnanswered(fd int, why unanswered, err error) {
	_ = unix.Close(fd)
	s.accepts.unanswered[why].Add(1)
	s.socketClosed()
	s.acceptLog.unanswered(why, err)
}

// spareFD is a descriptor that is kept aside. When the process, or the machine, has none left, it is closed so that one more
// client can be accepted and answered: /health is, and handshakes are refused. While it is in use no client is admitted. Any
// goroutine. The zero value is in use.
type spareFD struct {
	held atomic.Bool // written under mu

	mu sync.Mutex
	fd int // guarded by mu; an eventfd, which costs least
}

// refill opens it again, if it is in use, and reports whether it is kept aside now.
func (r *spareFD) refill() bool {
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

// use closes it, and reports whether it was kept aside.
func (r *spareFD) use() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.held.Load() {
		return false
	}
	r.held.Store(false)
	_ = unix.Close(r.fd)
	return true
}

// inUse reports whether it is not kept aside.
func (r *spareFD) inUse() bool { return !r.held.Load() }
