package netpoll

import (
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"roost/hub"
	"roost/netpoll/internal/ledger"
	"roost/netpoll/internal/mailbox"
	"roost/netpoll/internal/meter"
	"roost/netpoll/internal/msglimit"
	"roost/netpoll/internal/sendqueue"
	"roost/netpoll/internal/sentlog"
	"roost/netpoll/internal/wheel"
	"roost/wsproto"
)

const (
	// eventBatch is how many events a loop takes from its epoll at once.
	eventBatch = 128
	// mailEvery is after how many of them, and of tasks, it looks into its mailbox: 128
	// handshakes would hold deliveries up for milliseconds.
	mailEvery = 16
	// mailBatch is how many deliveries a loop takes from its mailbox before it
	// looks at its sockets again.
	mailBatch = 512
	// scratchSize is what leaves in one system call at most, when it is more
	// than one frame.
	scratchSize = 64 << 10
)

// loop is one event loop: an epoll, the connections on it, and the goroutine
// that waits for it.
//
// Its methods run with its turn taken, but for those that say otherwise. The
// loop's own goroutine takes it whenever it is awake; while it sleeps, the feed's
// may (see Server.Flush). What one leaves behind the other finds, as if the loop
// were one goroutine.
type loop struct {
	server *Server // static
	index  int     // static
	poll   poller  // any goroutine

	mail  *mailbox.Mailbox[delivery] // any goroutine
	stats loopStats                  // any goroutine
	tasks taskList                   // any goroutine
	alive atomic.Bool                // set by the loop when the prober asks
	busy  meter.Busy                 // any goroutine reads

	topRank   atomic.Int32 // of ranking, for other loops; -1: there is none
	shedAsked atomic.Bool  // by another loop to shed; not done yet

	handshakes meter.Histogram // from accept to the 101; any goroutine reads

	mu sync.Mutex // guards everything below

	asleep   bool // waits for events, or is about to, until armed
	ended    bool
	mailLeft bool // the mailbox was left before it was empty

	wheel      wheel.Wheel[*conn]
	armed      wheel.Tick    // when the wheel wants to be looked at; 0: never
	graceUntil time.Duration // until then nobody is ended for being silent: the server was absent, see timers.go

	batch   []delivery // taken from the mailbox; those before next are done
	next    int
	dirty   []*conn // have something to write, and get one write each at the end of a drain
	queues  []*outQueue
	ranking sendqueue.Ranking // of the queues that are not empty because the kernel takes no more

	sent    *sentlog.Log            // the histogram in it any goroutine reads
	inbound msglimit.Limiter[*conn] // what clients send

	pending       ledger.Ledger[conn] // places of pending handshakes
	pendingBytes  ledger.Ledger[conn] // what is kept for them beyond pendingSize
	closing       connList
	lingering     connList
	extras        pool[extra]
	handshakePool pool[pendingHandshake]

	gapRound gapRound
	drain    drainer
	input    []byte // what was read from one connection, for as long as it takes to handle it
	scratch  []byte
	decoder  wsproto.Decoder // for frames that come whole, which is nearly all of them
}

// delivery is one item of a loop's mailbox: a notification for a connection.
type delivery struct {
	c *conn
	n *hub.Notification
}

func newLoop(s *Server, index int) (*loop, error) {
	l := &loop{server: s, index: index, scratch: make([]byte, scratchSize), input: make([]byte, s.cfg.ReadBuffer)}
	l.topRank.Store(-1)
	l.handshakes = meter.NewHistogram(handshakeBounds[:])
	l.sent = sentlog.New(s.cfg.PongWait+s.cfg.WriteWait, deliveryBounds[:])
	l.mail = mailbox.New[delivery](s.cfg.MailboxItems, l.poll.ring)
	l.wheel.Skip(s.tick(s.now()))
	return l, l.poll.open()
}

// run is the loop's goroutine. It returns when the loop has been told to end, or
// with what makes it impossible to go on.
func (l *loop) run() error {
	events := make([]unix.EpollEvent, eventBatch)
	l.busy.Wake(l.server.now())
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.ended {
		timeout := l.pollTimeout()
		l.mu.Unlock()
		l.busy.Sleep(l.server.now())
		n, err := l.poll.wait(events, timeout)
		l.busy.Wake(l.server.now())
		l.mu.Lock()
		l.asleep = false
		if err != nil {
			return err
		}
		l.handle(events[:n])
	}
	return nil
}

// pollTimeout returns for how many milliseconds to wait for events.
func (l *loop) pollTimeout() int {
	if l.mailLeft {
		return 0
	}
	l.asleep = true
	return l.gapRound.timeout(l, l.untilTimer())
}

// handle is one turn: sockets, what others want done, timers, deliveries.
func (l *loop) handle(events []unix.EpollEvent) {
	for i := range events {
		if i > 0 && i%mailEvery == 0 {
			l.deliverMail()
		}
		l.event(&events[i])
	}
	l.tasks.run(l.deliverMail)
	l.runTimers()
	l.gapRound.step(l)
	l.deliverMail()
}

// event handles one event. One of a connection that was closed since, whose
// descriptor's number is another's by now, does no harm: reading finds nothing.
func (l *loop) event(e *unix.EpollEvent) {
	switch e.Fd {
	case bellMark: // somebody wants this turn
	case portMark:
		l.accept()
	default:
		if c := l.server.conns.Get(e.Fd); c != nil && c.loop == l {
			c.handleEvents(e.Events)
		}
	}
}

// handleEvents handles what epoll says of a connection.
func (c *conn) handleEvents(events uint32) {
	defer c.guard()
	if events&unix.EPOLLOUT != 0 {
		c.flush()
	}
	if events&^unix.EPOLLOUT != 0 {
		c.read()
	}
}

// guard ends a connection whose handling failed, instead of the process. It is
// deferred by whatever is done for one connection.
func (c *conn) guard() {
	l := c.loop
	problem := recover()
	if problem == nil {
		return
	}
	l.stats.Panics.Add(1)
	l.decoder = wsproto.Decoder{} // it may be in the middle of this client's frame
	l.server.log.Error("a connection's handling failed; the connection is closed",
		"panic", problem, "user_id", c.link.User(), "stack", string(debug.Stack()))
	c.closeNow(ReasonPanic)
}
