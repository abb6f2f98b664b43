package netpoll

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"roost/wsproto"
)

// errStillThere is for sockets that outlived every timeout of theirs.
var errStillThere = errors.New("they did not end in time")

// Farewell is what connections are told when the server ends.
type Farewell struct {
	Code   wsproto.CloseCode
	Text   string
	Reason Reason
}

// GoingAway is the farewell of an ordinary stop, Restarting that of a server
// that can't do its work and asks its clients to come back.
func GoingAway() Farewell {
	return Farewell{wsproto.CloseGoingAway, "the server is stopping", ReasonShutdown}
}

// Restarting closes with 1001 as well: 1012 would say more, but a good part of the client libraries takes that for an
// error in the protocol. The reason is apart in logs and metrics.
func Restarting() Farewell {
	return Farewell{wsproto.CloseGoingAway, "the server is restarting", ReasonRestart}
}

// Shutdown sends every connection a close frame behind what it still has to
// get, waits until they are gone, stops accepting (unless StopAccepting has been
// called), and stops the loops. From its beginning handshakes are refused with 503,
// while /health is answered as before.
// When ctx ends first the rest is cut, and an error that wraps ctx's returned.
// Whoever delivers should have stopped before: what comes later is counted as
// failed.
func (s *Server) Shutdown(ctx context.Context, bye Farewell) error {
	if err := s.beginShutdown(); err != nil {
		return err
	}
	s.endConnections(false, bye)
	s.waitServed(ctx)

	s.StopAccepting(ctx, false)
	s.endConnections(true, bye)
	s.waitEmpty(ctx, 2*s.cfg.LingerTimeout)
	left := s.accepts.sockets.Load()
	s.stopLoops()
	s.lines.tell()
	if left > 0 {
		return fmt.Errorf("netpoll: %d sockets were cut: %w", left, cmp.Or(ctx.Err(), errStillThere))
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

// endConnections ends the connections of every loop, and, if all, those that
// have not said yet what they want.
func (s *Server) endConnections(all bool, bye Farewell) {
	for _, l := range s.loops {
		l.do(func() { l.endAll(all, bye) })
	}
}

// endAll ends the loop's connections, behind everything that was delivered. All
// of them are in its wheel.
func (l *loop) endAll(all bool, bye Farewell) {
	l.drainAll()
	frame := wsproto.AppendClose(nil, bye.Code, bye.Text)
	l.wheel.Each(func(c *conn) {
		defer l.guard(c)
		switch {
		case c.state == stateOpen:
			l.end(c, bye.Reason, frame)
		case c.state == stateOpening && all:
			l.hurry(c, bye.Reason)
		case c.state == stateChecking && all:
			l.drop(c, bye.Reason)
		case c.state == stateAwaiting:
			l.refuseAwaiting(c) // there is nothing to wait for: the feed has stopped
		}
	})
}

// lastRequest is how long after accept a client's request may take to come once the
// port is closed: it is on its way when the accept queue has just been emptied.
const lastRequest = time.Second

// hurry gives who has just been accepted a moment to ask, so that it gets an answer
// and not a reset, and drops who has had that.
func (l *loop) hurry(c *conn, why Reason) {
	now := l.server.now()
	left := min(lastRequest, l.server.cfg.LingerTimeout) - c.heard.ago(now)
	if left <= 0 {
		l.drop(c, why)
		return
	}
	l.at(c, now+left)
}

// waitServed waits until nobody is served any more: no connection, no last words
// under way, no request that has come in part. Of ctx's time it leaves enough
// for what comes after.
func (s *Server) waitServed(ctx context.Context) {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-2*s.cfg.LingerTimeout))
		defer cancel()
	}
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for s.cfg.Hub.Connections() > 0 || s.serving() > 0 {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// serving counts sockets in the middle of a request, of its check, of waiting for the feed, or of their ending.
func (s *Server) serving() (n int64) {
	for _, l := range s.loops {
		n += l.stats.ending.Load() + l.stats.heads.Load() + l.stats.checking.Load() + l.stats.awaiting.Load()
	}
	return n
}

// waitEmpty waits until no socket is left, or limit has passed, or ctx ended.
func (s *Server) waitEmpty(ctx context.Context, limit time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for s.accepts.sockets.Load() > 0 {
		select {
		case <-s.empty:
		case <-ctx.Done():
			return
		}
	}
}
