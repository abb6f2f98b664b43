package netpoll

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"

	"roost/wsproto"
)

// ErrClosed is what Serve returns after Shutdown.
var ErrClosed = errors.New("netpoll: server closed")

// ErrLoopStuck is wrapped by what Serve returns when an event loop does not
// answer any more. Its connections can't be saved: the process should end and
// be started again.
var ErrLoopStuck = errors.New("an event loop does not answer")

// Server holds the connections of one listener. Make it with New, then Serve,
// then Shutdown.
type Server struct {
	cfg        Config // static
	log        *slog.Logger
	slowLog    *slowLog
	acceptLog  *acceptLog
	started    time.Time     // what now counts from
	tickLength time.Duration // of the loops' wheels

	client *gnet.Client
	loops  []*loop // static once started
	stalls *stallWatch

	accepts  acceptStats
	draining atomic.Bool // handshakes are refused
	stopping atomic.Bool // sockets are closed as they are accepted

	acceptors sync.WaitGroup
	helpers   sync.WaitGroup // stall watch and prober
	busy      chan struct{}  // a token: the first socket has come
	empty     chan struct{}  // a token: the last socket has gone
	done      chan struct{}  // closed when Shutdown begins
	failed    chan error     // one buffered: why Serve must return

	mu       sync.Mutex
	listener net.Listener // guarded by mu; nil before Serve
	closed   bool         // guarded by mu: Shutdown was called
}

// New starts the event loops. They wait for Serve to bring them connections.
func New(cfg Config) (*Server, error) {
	if cfg.Gate == nil || cfg.Hub == nil {
		return nil, errors.New("netpoll: Config.Gate and Config.Hub are required")
	}
	cfg = cfg.withDefaults(runtime.GOMAXPROCS(0))
	s := &Server{
		cfg: cfg, log: cfg.Logger,
		slowLog: newSlowLog(cfg.Logger), acceptLog: &acceptLog{logger: cfg.Logger},
		// A second ago: no moment is zero, which means never.
		started: time.Now().Add(-time.Second), tickLength: cfg.tickLength(),
		busy: make(chan struct{}, 1), empty: make(chan struct{}, 1),
		done: make(chan struct{}), failed: make(chan error, 1),
	}
	var err error
	if s.stalls, err = newStallWatch(); err != nil {
		return nil, err
	}
	if err := s.startLoops(); err != nil {
		s.stalls.close()
		return nil, err
	}
	s.helpers.Go(func() {
		if err := s.stalls.run(); err != nil {
			s.fail(err)
		}
	})
	s.helpers.Go(s.probeLoops)
	return s, nil
}

// Serve accepts connections from ln until Shutdown, and returns ErrClosed then,
// or earlier with what makes it impossible to go on. It owns ln.
func (s *Server) Serve(ln *net.TCPListener) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		_ = ln.Close()
		return ErrClosed
	}
	s.listener = ln
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for range s.cfg.Acceptors {
		s.acceptors.Go(func() { s.accept(ctx, ln) })
	}
	s.mu.Unlock()

	select {
	case <-s.done:
		return ErrClosed
	case err := <-s.failed:
		return err
	}
}

// fail makes Serve return err; the first one counts.
func (s *Server) fail(err error) {
	select {
	case s.failed <- err:
	default:
	}
}

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

// Restarting closes with 1012: the same client should reconnect, after a while.
func Restarting() Farewell {
	return Farewell{wsproto.CloseRestart, "the server is restarting", ReasonRestart}
}

// Shutdown stops accepting, sends every connection a close frame behind what it
// still has to get, waits until the last socket is gone, and stops the loops.
// When ctx ends first the rest is cut, and its error returned. Whoever delivers
// should have stopped before: what comes later is counted as failed.
func (s *Server) Shutdown(ctx context.Context, bye Farewell) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	s.closed = true
	s.draining.Store(true)
	s.stopping.Store(true)
	close(s.done)
	if s.listener != nil {
		_ = s.listener.Close()
	}
	s.mu.Unlock()
	s.acceptors.Wait()

	for _, l := range s.loops {
		_ = l.do(func() { l.endAll(bye) })
	}
	err := s.waitEmpty(ctx)
	s.stopLoops()
	return err
}

// endAll ends every connection of the loop. All of them are in its wheel.
func (l *loop) endAll(bye Farewell) {
	l.drain()
	frame := wsproto.AppendClose(nil, bye.Code, bye.Text)
	l.wheel.each(func(c *conn) {
		defer l.guard(c)
		switch c.state {
		case stateOpening:
			l.drop(c, bye.Reason)
		case stateOpen:
			l.end(c, bye.Reason, frame)
		}
	})
}

// waitEmpty waits until no socket is left.
func (s *Server) waitEmpty(ctx context.Context) error {
	for s.accepts.sockets.Load() > 0 {
		select {
		case <-s.empty:
		case <-ctx.Done():
			return fmt.Errorf("netpoll: %d sockets were cut: %w", s.accepts.sockets.Load(), ctx.Err())
		}
	}
	return nil
}

// socketGone gives a socket's place back.
func (s *Server) socketGone() {
	if s.accepts.sockets.Add(-1) == 0 {
		select {
		case s.empty <- struct{}{}:
		default:
		}
	}
}

// socketCame takes a place for a socket and returns how many there are now.
func (s *Server) socketCame() int64 {
	n := s.accepts.sockets.Add(1)
	if n == 1 {
		select {
		case s.busy <- struct{}{}:
		default:
		}
	}
	return n
}

// now is the clock of everything here: monotonic, and never zero.
func (s *Server) now() time.Duration { return time.Since(s.started) }

// tick returns the first tick that is not before a moment.
func (s *Server) tick(when time.Duration) tick {
	return tick((when + s.tickLength - 1) / s.tickLength)
}
