package netpoll

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/sys/unix"

	"roost/internal/pause"
	"roost/wsproto"
	"roost/wsproto/handshake"
)

// errTimeout is returned for sockets that outlived every timeout.
var errTimeout = errors.New("they did not end in time")

// CloseMessage tells clients why the server closes their connection.
type CloseMessage struct {
	Code   wsproto.CloseCode
	Text   string
	Reason Reason
}

// GoingAway is the close message of an ordinary stop.
func GoingAway() CloseMessage {
	return CloseMessage{wsproto.CloseGoingAway, "the server is stopping", ReasonShutdown}
}

// Restarting is the close message of a server that ends because it can't do its work. It is 1001 as well: 1012 would say
// more, but many client libraries take it for a protocol error. Logs and metrics have a reason of its own.
func Restarting() CloseMessage {
	return CloseMessage{wsproto.CloseGoingAway, "the server is restarting", ReasonRestart}
}

// Shutdown sends every connection a close frame behind what waits for it, waits until all are closed, stops accepting
// (unless StopAccepting has been called), and stops the loops. From its beginning handshakes are refused with 503, while
// /health is answered as before.
//
// When ctx ends first, the remaining sockets are closed at once and the error wraps that of ctx. Deliveries should have
// stopped before: later ones are counted as failed.
func (s *Server) Shutdown(ctx context.Context, message CloseMessage) error {
	if err := s.beginShutdown(); err != nil {
		return err
	}
	s.closeAll(false, message)
	s.waitClosed(ctx)

	s.StopAccepting(ctx, false)
	s.closeAll(true, message)
	s.waitSockets(ctx, 2*s.cfg.LingerTimeout)
	left := s.stopLoops()
	s.lines.tell()
	if left > 0 {
		return fmt.Errorf("netpoll: %d sockets were closed at once: %w", left, cmp.Or(ctx.Err(), errTimeout))
	}
	return nil
}

// beginShutdown makes Serve return. It fails when Shutdown has been called before.
func (s *Server) beginShutdown() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	s.closed = true
	s.draining.Store(true)
	close(s.done)
	return nil
}

// closeAll ends the connections of every loop. all includes the handshakes that have not sent their request or wait for a
// worker.
func (s *Server) closeAll(all bool, message CloseMessage) {
	for _, l := range s.loops {
		l.do(func() { l.closeAll(all, message) })
	}
}

// closeAll ends the loop's connections, behind everything that was delivered. All of them are in its wheel.
func (l *loop) closeAll(all bool, message CloseMessage) {
	l.deliverAllMail()
	l.wheel.Each(func(c *conn) {
		defer c.guard()
		switch {
		case c.state == stateOpen:
			c.closePlanned(message.Reason, message.Code, message.Text)
		case (c.state == stateRequest || c.state == stateTLS) && all:
			c.shortenHandshake(message.Reason)
		case c.state == stateAuthenticating && all:
			c.closeNow(message.Reason)
		case c.state == stateSubscribing:
			// There is nothing to wait for: the feed has stopped.
			c.extra.hs.respondError(c.extra.hs.held.req, handshake.RefuseDraining(l.server.retryAfter()))
		}
	})
}

// lastRequestWait is how long after accept a request may take to come once the listener is closed: it is on its way when
// the accept queue has just been emptied.
const lastRequestWait = time.Second

// shortenHandshake gives a client that has just been accepted a moment to send its request, so that it gets an answer
// instead of a reset, and closes one that has had that moment.
func (c *conn) shortenHandshake(why Reason) {
	now := c.loop.server.now()
	left := min(lastRequestWait, c.loop.server.cfg.LingerTimeout) - c.lastRead.ago(now)
	if left <= 0 {
		c.closeNow(why)
		return
	}
	c.setTimer(now + left)
}

// waitClosed waits until no connection is open or closing, and no request has come in part. It leaves enough of ctx's time
// for what follows.
func (s *Server) waitClosed(ctx context.Context) {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-2*s.cfg.LingerTimeout))
		defer cancel()
	}
	for (s.openConnections() > 0 || s.unfinished() > 0) && pause.For(ctx, 5*time.Millisecond) {
	}
}

// openConnections counts those that are open. The hub knows, but where its connections are another process's by now.
func (s *Server) openConnections() (n int) {
	if !s.handedOver.Load() {
		return s.cfg.Hub.Connections()
	}
	for _, l := range s.loops {
		n += int(l.stats.sockets.Load() - l.stats.Pending.Load() - l.stats.closing.Load())
	}
	return n
}

// unfinished counts the sockets that are in the middle of a handshake, or closing.
func (s *Server) unfinished() (n int64) {
	for _, l := range s.loops {
		n += l.stats.closing.Load() + l.stats.partialRequests.Load() + l.stats.Authenticating.Load() + l.stats.Subscribing.Load()
	}
	return n
}

// waitSockets waits until no socket is left, or limit has passed, or ctx ended.
func (s *Server) waitSockets(ctx context.Context, limit time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for s.accepts.sockets.Load() > 0 {
		select {
		case <-s.lastSocket:
		case <-ctx.Done():
			return
		}
	}
}

// A server that is to be replaced closes its connections a few at a time, so that its clients do not all come back at
// once: first StopAccepting, then Drain, then Shutdown for what is left.

// drainEvery is how often Drain closes some connections.
const drainEvery = 50 * time.Millisecond

// Drain closes every connection with a message, behind what was delivered to it, spread over a time. Connections that are
// opened meanwhile stay. It returns when the time is over, when no connection is left, or when ctx ends. Any goroutine.
func (s *Server) Drain(ctx context.Context, message CloseMessage, over time.Duration) {
	for _, l := range s.loops {
		l.do(func() { l.drain.start(l) })
	}
	ticker := time.NewTicker(drainEvery)
	defer ticker.Stop()
	begun := s.now()
	for share := 0.0; share < 1 && s.cfg.Hub.Connections() > 0; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		share = min(1, float64(s.now()-begun)/float64(over))
		for _, l := range s.loops {
			l.do(func() { l.drain.step(l, share, message) })
		}
	}
}

// drainer is the connections of a loop that Drain closes, in the order in which it does.
type drainer struct {
	conns  []*conn
	closed int // of conns
}

// start gathers the connections, in random order: clients that came together should not leave together.
func (d *drainer) start(l *loop) {
	*d = drainer{}
	l.wheel.Each(func(c *conn) {
		if c.state == stateOpen && !c.selfCheck {
			d.conns = append(d.conns, c)
		}
	})
	rand.Shuffle(len(d.conns), func(i, j int) { d.conns[i], d.conns[j] = d.conns[j], d.conns[i] })
}

// step closes connections until a share of all is closed.
func (d *drainer) step(l *loop, share float64, message CloseMessage) {
	until := int(share * float64(len(d.conns)))
	if until > d.closed {
		l.deliverAllMail()
	}
	for ; d.closed < until; d.closed++ {
		c := d.conns[d.closed]
		d.conns[d.closed] = nil
		func() {
			defer c.guard()
			c.closePlanned(message.Reason, message.Code, message.Text)
		}()
	}
}

// backlogWait is how long TCP handshakes that have begun may take to reach the accept queue, before that is emptied for the
// last time.
const backlogWait = 200 * time.Millisecond

// StopAccepting closes the listeners and keeps the connections. Clients that have connected by then are accepted and get
// their answer, although closing a listener resets what waits in its accept queue: first the kernel drops new connects,
// then the queue is emptied, then the listener closed. This takes 200 ms; ctx cuts it short.
//
// shared says that another process has the same listening sockets, or will. Then they are only closed here: what waits in
// their queues is for the other process.
//
// Further calls do nothing. Any goroutine but a loop's.
func (s *Server) StopAccepting(ctx context.Context, shared bool) {
	defer s.plain.close()
	defer s.secure.close()
	if shared {
		return
	}
	plain, secure := s.plain.dropSYNs(), s.secure.dropSYNs()
	if !plain && !secure {
		return
	}
	pause.For(ctx, backlogWait)
	emptied := make(chan struct{})
	l := s.plain.leastLoaded()
	l.do(func() {
		l.acceptBacklog(&s.plain)
		l.acceptBacklog(&s.secure)
		close(emptied)
	})
	select {
	case <-emptied:
	case <-ctx.Done():
	}
}

// noSYN is a socket filter that the kernel runs on each packet, from its TCP header on. It drops packets that ask for a
// connection (SYN without ACK) and passes all others, such as the last one of a TCP handshake that has begun.
var noSYN = []unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 13}, // the flags
	{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: 0x02, Jf: 2},
	{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: 0x10, Jt: 1},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	{Code: unix.BPF_RET | unix.BPF_K, K: 1 << 18},
}

// dropSYNs has the kernel drop new connects: clients try again after a second, and find the port closed. It reports whether
// the listener was open. On a kernel without socket filters, a connect between emptying the queue and closing is reset.
func (p *listener) dropSYNs() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fd == 0 {
		return false
	}
	_ = unix.SetsockoptSockFprog(p.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(noSYN)), Filter: &noSYN[0]})
	return true
}

// acceptBacklog accepts all clients that wait, and closes the listener, if it is open.
func (l *loop) acceptBacklog(p *listener) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.fd != 0 {
		switch err := l.acceptOne(p); err {
		case nil, unix.EINTR, unix.ECONNABORTED:
		case unix.EAGAIN:
			p.closeLocked()
		default: // out of descriptors: the rest is reset
			l.server.accepts.errors.Add(1)
			p.closeLocked()
		}
	}
}
