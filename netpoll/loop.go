package netpoll

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"roost/hub"
	"roost/internal/list"
	"roost/internal/shrinkmap"
	"roost/netpoll/internal/ledger"
	"roost/netpoll/internal/mailbox"
	"roost/netpoll/internal/meter"
	"roost/netpoll/internal/msglimit"
	"roost/netpoll/internal/sendqueue"
	"roost/netpoll/internal/sentlog"
	"roost/netpoll/internal/tlsrecord"
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
// Its methods, and those of its connections, are called with its lock held, except for those that say otherwise. The loop's
// own goroutine holds it while it is awake. While it sleeps, the goroutine that delivers may take it (see Server.Flush).
type loop struct {
	server *Server // static
	index  int     // static
	poll   poller  // any goroutine

	mail  *mailbox.Mailbox[delivery] // any goroutine
	stats loopStats                  // any goroutine
	tasks taskList                   // any goroutine
	alive atomic.Bool                // set by the loop when the watchdog asks
	busy  meter.Busy                 // any goroutine reads

	topRank   atomic.Int32 // of ranking, for other loops; -1: there is none
	shedAsked atomic.Bool  // by another loop to shed; not done yet

	handshakes    meter.Histogram // from accept to the 101; any goroutine reads
	tlsHandshakes meter.Histogram // from accept to the end of the TLS handshake; any goroutine reads

	mu sync.Mutex // guards everything below

	asleep   bool // waits for events, or is about to, until armed
	ended    bool
	mailLeft bool // the mailbox was left before it was empty

	wheel      wheel.Wheel[*conn]
	armed      wheel.Tick    // when the wheel is advanced next; 0: never
	graceUntil time.Duration // until then deadlines are extended, because the process was paused, see timers.go

	batch   []delivery // taken from the mailbox; those before next are done
	next    int
	dirty   []*conn // have got something, and are written to at the end of deliverMail
	queues  []*outQueue
	ranking sendqueue.Ranking // of the queues of stalled connections

	sent    *sentlog.Log            // the histogram in it any goroutine reads
	inbound msglimit.Limiter[*conn] // what clients send

	pending       ledger.Ledger[conn] // places of pending handshakes
	pendingBytes  ledger.Ledger[conn] // what is kept for them beyond pendingSize
	closing       list.List[closing]  // the oldest first
	lingering     list.List[closing]
	extras        pool[extra]
	handshakePool pool[pendingHandshake]

	partialInput list.List[conn] // connections of whose input something is kept until the rest comes, those that have waited longest first; no pending handshakes

	renewing     shrinkmap.Map[*conn, *renewal] // tokens that clients have sent and that are being checked
	renewalBytes int                            // of these
	renewed      msglimit.Limiter[*conn]        // the tokens that they have sent of late

	first []func()       // done before the first event: what has come of handshakes that were taken over
	marks *handoverMarks // nil unless connections are being handed over

	gapRound gapRound
	drain    drainer
	input    []byte // what was read from one connection, for as long as it takes to handle it
	scratch  []byte

	// For TLS, and nil without Config.TLS.
	ciphers     *tlsrecord.Cache
	sealedInput []byte // as input, but sealed
	sealed      []byte // what leaves for one write, for as long as that takes
	opened      []byte // what crypto/tls has decrypted

	decoder wsproto.Decoder // for frames that come whole, which is nearly all of them
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
	l.tlsHandshakes = meter.NewHistogram(handshakeBounds[:])
	if s.cfg.TLS != nil {
		l.ciphers = tlsrecord.NewCache(cachedCiphers)
		l.sealedInput = make([]byte, recordMost+s.cfg.ReadBuffer)
		l.sealed = make([]byte, 0, recordMost+64) // a KeyUpdate may come before the record
	}
	l.sent = sentlog.New(s.cfg.PongWait+s.cfg.WriteWait, deliveryBounds[:])
	l.mail = mailbox.New[delivery](s.cfg.MailboxItems, l.poll.wake)
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
	for _, fn := range l.first {
		fn()
	}
	l.first = nil
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

// handle does what the loop woke for: sockets, tasks, timers, mail.
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

// event handles one event. An event of a connection that was closed since does no harm, even if its descriptor's number is
// another connection's by now: reading finds nothing.
func (l *loop) event(e *unix.EpollEvent) {
	switch e.Fd {
	case wakeMark: // handle does the rest
	case portMark:
		l.accept(&l.server.plain)
	case tlsMark:
		l.accept(&l.server.secure)
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
