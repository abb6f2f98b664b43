package netpoll

import (
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"roost/netpoll/internal/fdtable"
	"roost/netpoll/internal/iplimit"
	"roost/netpoll/internal/sendqueue"
	"roost/netpoll/internal/tlsrecord"
	"roost/netpoll/internal/wheel"
)

// ErrClosed is what Serve returns after Shutdown.
var ErrClosed = errors.New("netpoll: server closed")

// ErrLoopStuck is wrapped by what Serve returns when an event loop does not answer any more. Its connections are lost: the
// process should end and be started again.
var ErrLoopStuck = errors.New("an event loop does not answer")

// Server holds the connections of a plain and a TLS listener, or of one of them. Make it with New, then Serve,
// then Shutdown.
type Server struct {
	cfg        Config                // static; its Rules are those of the start
	resumes    bool                  // static: clients can resume, see hub.Config.Resume
	rules      atomic.Pointer[rules] // replaced whole; any goroutine
	log        *slog.Logger
	lossLog    *lossLog
	lines      *connLog
	refusals   *refusalLog
	acceptLog  *acceptLog
	started    time.Time     // now counts from here
	tickLength time.Duration // of the loops' wheels

	loops   []*loop // static
	conns   fdtable.Table[conn]
	records fdtable.Table[tlsrecord.Conn] // of connections of TLS 1.3; guarded by the loops' locks, but for the table
	heavies fdtable.Table[heavy]          // of others with TLS
	perIP   iplimit.Counter               // of connections, if Rules.MaxPerIP bounds them
	plain   listener
	secure  listener // of the TLS port

	spareFD spareFD
	queues  sendqueue.Memory // of the send queues of all loops

	accepts  acceptStats
	tls      tlsStats
	draining atomic.Bool // Shutdown has begun, or the connections are another process's: handshakes are refused

	shared     atomic.Bool    // another process has, or had, some of the sockets, too
	handedOver atomic.Bool    // HandingOver.Commit was called
	still      atomic.Bool    // the loops are frozen, or were and are not needed any more: the watchdog does not look
	late       lateHandshakes // see HandingOver.Late
	run        sync.Once      // of runLoops

	workers  workers
	renewals renewals

	looping     sync.WaitGroup // the loops
	watching    sync.WaitGroup // the watchdog
	firstSocket chan struct{}  // gets a value when there is a socket again
	lastSocket  chan struct{}  // gets a value when no socket is left
	done        chan struct{}  // closed when Shutdown begins
	failed      chan error     // one buffered: why Serve must return

	mu      sync.Mutex
	closed  bool // guarded by mu: Shutdown was called
	handing bool // guarded by mu: there is a HandingOver
}

// New starts the event loops, unless Config.HoldLoops holds them back. They wait for Serve to bring them connections.
func New(cfg Config) (*Server, error) {
	if cfg.Upgrader == nil || cfg.Hub == nil {
		return nil, errors.New("netpoll: Config.Upgrader and Config.Hub are required")
	}
	cfg = cfg.withDefaults(runtime.GOMAXPROCS(0))
	cfg.GapNotice = cfg.GapNotice || cfg.Hub.Resumes() // a position must not step over what nobody is told of
	s := &Server{
		cfg: cfg, log: cfg.Logger, resumes: cfg.Hub.Resumes(),
		lossLog: newLossLog(cfg.Logger), lines: newConnLog(cfg.Logger, cfg.ConnectionLines), refusals: newRefusalLog(cfg.Logger), acceptLog: newAcceptLog(cfg.Logger),
		// A second ago: no moment is zero, which means never.
		started: time.Now().Add(-time.Second), tickLength: cfg.tickLength(),
		firstSocket: make(chan struct{}, 1), lastSocket: make(chan struct{}, 1),
		done: make(chan struct{}), failed: make(chan error, 1),
		late: lateHandshakes{wake: make(chan struct{}, 1)}, renewals: renewals{seed: maphash.MakeSeed()},
	}
	s.rules.Store(newRules(cfg.Rules, cfg.Loops, nil))
	if err := s.makeLoops(); err != nil {
		return nil, fmt.Errorf("starting the event loops: %w", err)
	}
	s.spareFD.refill()
	s.startWorkers()
	if !cfg.HoldLoops {
		s.runLoops()
	}
	return s, nil
}

// Serve accepts connections from plain, and TLS connections from tls, until Shutdown, and returns ErrClosed then, or earlier
// with what makes it impossible to go on. One of the listeners may be nil; tls needs Config.TLS. It owns both.
func (s *Server) Serve(plain, tls *net.TCPListener) error {
	if err := s.checkListeners(plain, tls); err != nil {
		return err
	}
	s.runLoops()
	if err := s.listenOn(plain, &s.plain); err != nil {
		return err
	}
	if err := s.listenOn(tls, &s.secure); err != nil {
		return err
	}
	select {
	case <-s.done:
		return ErrClosed
	case err := <-s.failed:
		return err
	}
}

// listenOn begins to accept from ln, which may be nil.
func (s *Server) listenOn(ln *net.TCPListener, as *listener) error {
	if ln == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = ln.Close()
		return ErrClosed
	}
	fd, err := takeOver(ln)
	if err != nil {
		return fmt.Errorf("taking over the listener: %w", err)
	}
	if err := as.open(fd); err != nil {
		return fmt.Errorf("watching the listener: %w", err)
	}
	return nil
}

// fail makes Serve return err; the first one counts.
func (s *Server) fail(err error) {
	select {
	case s.failed <- err:
	default:
	}
}

// socketClosed uncounts a socket, after its descriptor was closed.
func (s *Server) socketClosed() {
	if s.spareFD.inUse() {
		s.spareFD.refill()
	}
	if s.accepts.sockets.Add(-1) == 0 {
		select {
		case s.lastSocket <- struct{}{}:
		default:
		}
	}
}

// socketOpened counts a socket, and returns how many there are now.
func (s *Server) socketOpened() int64 {
	n := s.accepts.sockets.Add(1)
	if n == 1 {
		select {
		case s.firstSocket <- struct{}{}:
		default:
		}
	}
	return n
}

// now is the clock for everything but what Config.Now is for: monotonic, and never zero.
func (s *Server) now() time.Duration { return time.Since(s.started) }

// moment returns the time of a tick.
func (s *Server) moment(t wheel.Tick) time.Duration { return time.Duration(t) * s.tickLength }

// tick returns the first tick that is not before a moment.
func (s *Server) tick(when time.Duration) wheel.Tick {
	return wheel.Tick((when + s.tickLength - 1) / s.tickLength)
}

// makeLoops makes the loops, or none.
func (s *Server) makeLoops() error {
	for i := range s.cfg.Loops {
		l, err := newLoop(s, i)
		if err != nil {
			s.closePollers()
			return err
		}
		s.loops = append(s.loops, l)
	}
	s.plain.loops, s.plain.onFailure, s.plain.mark = s.loops, s.acceptFailed, portMark
	s.secure.loops, s.secure.onFailure, s.secure.mark, s.secure.secure = s.loops, s.acceptFailed, tlsMark, true
	return nil
}

// runLoops starts the loops and the watchdog. Further calls do nothing.
func (s *Server) runLoops() {
	s.run.Do(func() {
		for _, l := range s.loops {
			s.looping.Go(func() {
				if err := l.run(); err != nil {
					s.fail(err)
				}
			})
		}
		s.watching.Go(s.watchLoops)
	})
}

// stopLoops ends everything that New started, and closes the sockets that are left. It returns how many these were.
func (s *Server) stopLoops() int64 {
	s.runLoops() // where Serve was never called, so that they end in the same way
	s.watching.Wait()
	var closed atomic.Int64
	for _, l := range s.loops {
		l.do(func() { closed.Add(int64(l.closeAllNow())) })
	}
	s.looping.Wait()
	left := closed.Load() + s.accepts.sockets.Load() // of a loop that had ended before
	for _, l := range s.loops {
		l.mail.Close() // a worker that changes groups may wait for room
	}
	s.workers.stop()
	for _, l := range s.loops {
		l.failMail()
	}
	s.closePollers()
	return left
}

// closeAllNow ends the loop, closes what is left, and returns how many sockets that were. Sockets whose own time is over are not among
// them: a loop that is late comes to their timers only now.
func (l *loop) closeAllNow() (left int) {
	now := l.server.now()
	l.wheel.Each(func(c *conn) {
		if c.state != stateOpen && l.server.moment(l.wheel.At(c)) <= now {
			c.onTimer(now)
		}
	})
	left = l.wheel.Len()
	l.wheel.Each(func(c *conn) { c.closeNow(ReasonShutdown) })
	l.ended = true
	return left
}

func (s *Server) closePollers() {
	for _, l := range s.loops {
		l.poll.close()
	}
	s.spareFD.use()
}
