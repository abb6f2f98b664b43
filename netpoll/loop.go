package netpoll

import (
	"context"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

	"roost/wsproto"
)

const (
	// drainBatch is how many deliveries a loop takes from its mailbox before it
	// looks at its sockets again.
	drainBatch = 512
	// drainEvery is after how many socket events a loop looks into its mailbox:
	// a round of epoll can hold 1,024 of them, and that many handshakes would
	// hold deliveries up for 50 ms and more.
	drainEvery = 16
	// scratchSize is what leaves in one system call at most, when it is more
	// than one frame.
	scratchSize = 64 << 10
)

// loop is what belongs to one of gnet's event loops. Its methods run on that
// loop only, but for those that say otherwise.
type loop struct {
	server *Server        // static
	index  int            // static
	engine gnet.EventLoop // static once met; any goroutine
	bell   int            // static: what is written here makes the loop look into its mailbox, after the sockets that are ready

	mail  *mailbox    // any goroutine
	stats loopStats   // any goroutine
	alive atomic.Bool // set by the loop when the prober asks
	ended atomic.Bool // set before gnet's loop ends: no timer may wake it any more

	wheel     wheel
	timer     *time.Timer   // fires at armed; any goroutine
	armed     tick          // 0 while the timer is not
	mercy     time.Duration // until then nobody is ended for being silent: the server was absent, see pause.go
	tickTimer timerTask

	batch   []delivery // taken from the mailbox; those before next are done
	next    int
	dirty   []*conn // have something to write, and get one write each at the end of a drain
	events  int     // socket events since the last drain
	queues  []*outQueue
	scratch []byte
	decoder wsproto.Decoder // for frames that come whole, which is nearly all of them
}

func newLoop(s *Server, index int) *loop {
	l := &loop{server: s, index: index, scratch: make([]byte, scratchSize)}
	l.mail = newMailbox(s.cfg.MailboxItems, l.wake)
	l.wheel.init()
	l.wheel.now = s.tick(s.now())
	l.tickTimer.loop = l
	l.timer = time.AfterFunc(time.Hour, l.timerFired)
	l.timer.Stop()
	return l
}

// wake has the loop drain its mailbox. Any goroutine.
func (l *loop) wake() { _ = l.engine.Execute(context.Background(), (*drainTask)(l)) }

// do runs fn on the loop, soon. Any goroutine.
func (l *loop) do(fn func()) error {
	return l.engine.Execute(context.Background(), gnet.RunnableFunc(func(context.Context) error {
		fn()
		return nil
	}))
}

// drainTask is the loop as gnet runs it to drain the mailbox; a type of its own
// so that a wake-up needs no closure.
type drainTask loop

// Run implements gnet.Runnable.
func (t *drainTask) Run(context.Context) error {
	(*loop)(t).drain()
	return nil
}

// drain moves what waits in the mailbox to the write queues, and then writes
// once to each connection that got something. It stops after drainBatch items
// and has itself called again behind the sockets that are ready, so that a
// busy feed can't keep the loop from reading.
func (l *loop) drain() {
	if l.drainSome() {
		l.ring()
	}
}

// drainSome is drain without the ring; it reports whether there may be more.
func (l *loop) drainSome() (more bool) {
	l.events = 0
	more = true
	for range drainBatch {
		if l.next == len(l.batch) {
			clear(l.batch)
			l.batch, l.next = l.mail.take(l.batch), 0
			if more = len(l.batch) > 0; !more {
				break
			}
		}
		item := l.batch[l.next]
		l.next++
		l.deliver(item)
	}
	l.flushDirty()
	return more
}

// abandonMail counts what the loop has not got to as failed. It is called when
// gnet's loop has ended and the mailbox is closed, by whoever ended them.
func (l *loop) abandonMail() {
	rest := append(l.batch[l.next:], l.mail.take(nil)...)
	l.batch, l.next = nil, 0
	for _, item := range rest {
		if item.n != nil {
			l.fail(item.c, failedClosed, 1)
		}
	}
}

// ring makes the loop drain again after the sockets that are ready now. A wake
// would not do: gnet works off what was queued by Execute before it looks at a
// socket again.
func (l *loop) ring() { _, _ = unix.Write(l.bell, []byte{1}) }

// socketEvent is called for each event of a socket, to keep deliveries going
// through a long round of them.
func (l *loop) socketEvent() {
	if l.events++; l.events >= drainEvery {
		l.drain()
	}
}

// guard ends a connection whose handling failed, instead of the process. It is
// deferred by what gnet calls for one connection.
func (l *loop) guard(c *conn) {
	problem := recover()
	if problem == nil {
		return
	}
	l.stats.panics.Add(1)
	l.decoder = wsproto.Decoder{} // it may be in the middle of this client's frame
	l.server.log.Error("a connection's handling failed; the connection is closed",
		"panic", problem, "user_id", c.link.User(), "stack", string(debug.Stack()))
	l.drop(c, ReasonPanic)
}
