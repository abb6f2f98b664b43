package netpoll

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/sys/unix"

	"roost/wsproto"
	"roost/wsproto/handshake"
)

// errTimeout is for sockets that outlived every timeout of theirs.
var errTimeout = errors.New("they did not end in time")

// CloseMessage is what connections are told when the server ends.
type CloseMessage struct {
	Code   wsproto.CloseCode
	Text   string
	Reason Reason
}

// GoingAway is the farewell of an ordinary stop, Restarting that of a server
// that can't do its work and asks its clients to come back.
func GoingAway() CloseMessage {
	return CloseMessage{wsproto.CloseGoingAway, "the server is stopping", ReasonShutdown}
}

// Restarting closes with 1001 as well: 1012 would say more, but a good part of the client libraries takes that for an
// error in the protocol. The reason is apart in logs and metrics.
func Restarting() CloseMessage {
	return CloseMessage{wsproto.CloseGoingAway, "the server is restarting", ReasonRestart}
}

// Shutdown sends every connection a close frame behind what it still has to
// get, waits until they are gone, stops accepting (unless StopAccepting has been
// called), and stops the loops. From its beginning handshakes are refused with 503,
// while /health is answered as before.
// When ctx ends first the rest is cut, and an error that wraps ctx's returned.
// Whoever delivers should have stopped before: what comes later is counted as
// failed.
func (s *Server) Shutdown(ctx context.Context, bye CloseMessage) error {
	if err := s.beginShutdown(); err != nil {
		return err
	}
	s.closeAll(false, bye)
	s.waitClosed(ctx)

	s.StopAccepting(ctx, false)
	s.closeAll(true, bye)
	s.waitSockets(ctx, 2*s.cfg.LingerTimeout)
	left := s.accepts.sockets.Load()
	s.stopLoops()
	s.lines.tell()
	if left > 0 {
		return fmt.Errorf("netpoll: %d sockets were cut: %w", left, cmp.Or(ctx.Err(), errTimeout))
	}
	return nil
}

// beginShutdown makes Serve return, and Shutdown run once.
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

// closeAll ends the connections of every loop, and, if all, those that
// have not said yet what they want.
func (s *Server) closeAll(all bool, bye CloseMessage) {
	for _, l := range s.loops {
		l.do(func() { l.closeAll(all, bye) })
	}
}

// closeAll ends the loop's connections, behind everything that was delivered. All
// of them are in its wheel.
func (l *loop) closeAll(all bool, bye CloseMessage) {
	l.deliverAllMail()
	frame := wsproto.AppendClose(nil, bye.Code, bye.Text)
	l.wheel.Each(func(c *conn) {
		defer c.guard()
		switch {
		case c.state == stateOpen:
			c.closeWith(bye.Reason, frame)
		case c.state == stateRequest && all:
			c.shortenHandshake(bye.Reason)
		case c.state == stateAuthenticating && all:
			c.closeNow(bye.Reason)
		case c.state == stateSubscribing:
			// There is nothing to wait for: the feed has stopped.
			c.extra.hs.respondError(c.extra.hs.held.req, handshake.RefuseDraining(l.server.retryAfter()))
		}
	})
}

// lastRequestWait is how long after accept a client's request may take to come once the
// port is closed: it is on its way when the accept queue has just been emptied.
const lastRequestWait = time.Second

// shortenHandshake gives who has just been accepted a moment to ask, so that it gets an answer
// and not a reset, and drops who has had that.
func (c *conn) shortenHandshake(why Reason) {
	now := c.loop.server.now()
	left := min(lastRequestWait, c.loop.server.cfg.LingerTimeout) - c.lastRead.ago(now)
	if left <= 0 {
		c.closeNow(why)
		return
	}
	c.setTimer(now + left)
}

// waitClosed waits until nobody is served any more: no connection, no last words
// under way, no request that has come in part. Of ctx's time it leaves enough
// for what comes after.
func (s *Server) waitClosed(ctx context.Context) {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-2*s.cfg.LingerTimeout))
		defer cancel()
	}
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for s.cfg.Hub.Connections() > 0 || s.unfinished() > 0 {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// unfinished counts sockets in the middle of a request, of its check, of waiting for the feed, or of their ending.
func (s *Server) unfinished() (n int64) {
	for _, l := range s.loops {
		n += l.stats.closing.Load() + l.stats.partialRequests.Load() + l.stats.authenticating.Load() + l.stats.subscribing.Load()
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

// A server that is to be replaced lets its connections go a few at a time, so that
// its clients do not all come back at once. First nobody new comes, see
// StopAccepting; then Drain; and Shutdown ends what is left.

// drainEvery is how often some connections are let go.
const drainEvery = 50 * time.Millisecond

// Drain ends every connection with bye, behind what was delivered to it, spread
// over a time. Those who come meanwhile stay. It returns when the time is over,
// when nobody is left, or when ctx ends. Any goroutine.
func (s *Server) Drain(ctx context.Context, bye CloseMessage, over time.Duration) {
	for _, l := range s.loops {
		l.do(func() { l.drain.start(l) })
	}
	frame := wsproto.AppendClose(nil, bye.Code, bye.Text)
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
			l.do(func() { l.drain.step(l, share, bye.Reason, frame) })
		}
	}
}

// drainer is the connections of a loop that are let go, in the order in which
// they are.
type drainer struct {
	conns []*conn
	gone  int // of them
}

// start gathers the connections, in an order that says nothing: those who came
// together shall not leave together.
func (d *drainer) start(l *loop) {
	*d = drainer{}
	l.wheel.Each(func(c *conn) {
		if c.state == stateOpen && !c.selfCheck {
			d.conns = append(d.conns, c)
		}
	})
	rand.Shuffle(len(d.conns), func(i, j int) { d.conns[i], d.conns[j] = d.conns[j], d.conns[i] })
}

// step lets connections go until that share of all has.
func (d *drainer) step(l *loop, share float64, why Reason, frame []byte) {
	until := int(share * float64(len(d.conns)))
	if until > d.gone {
		l.deliverAllMail()
	}
	for ; d.gone < until; d.gone++ {
		d.conns[d.gone].closeDraining(why, frame)
		d.conns[d.gone] = nil
	}
}

// closeDraining ends a connection, unless it has ended by itself.
func (c *conn) closeDraining(why Reason, frame []byte) {
	defer c.guard()
	c.closeWith(why, frame)
}

// backlogWait is how long handshakes of TCP that have begun may take to come into the
// accept queue, before that is emptied for the last time.
const backlogWait = 200 * time.Millisecond

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
	defer s.listener.close()
	if shared || !s.listener.dropSYNs() {
		return
	}
	wait(ctx, backlogWait)
	emptied := make(chan struct{})
	l := s.listener.leastLoaded()
	l.do(func() { l.acceptBacklog(); close(emptied) })
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

// dropSYNs has the kernel pass over new connects: clients ask again after a second,
// and find the port closed. It reports whether the port was open. Where there are
// no socket filters, a connect in the instant between emptying the queue and
// closing is reset.
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

// acceptBacklog accepts everybody who waits, and closes the port before anybody else
// can come.
func (l *loop) acceptBacklog() {
	p := &l.server.listener
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.fd != 0 {
		switch err := l.acceptOne(); err {
		case nil, unix.EINTR, unix.ECONNABORTED:
		case unix.EAGAIN:
			p.closeLocked()
		default: // out of descriptors: the rest can't be helped
			l.server.accepts.errors.Add(1)
			p.closeLocked()
		}
	}
}
