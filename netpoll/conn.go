package netpoll

import (
	"math"
	"runtime/debug"
	"time"

	"roost/hub"
	"roost/internal/list"
	"roost/netpoll/internal/wheel"
	"roost/wsproto"
)

// state is where in its life a connection is; see the package comment.
type state uint8

const (
	stateRequest state = iota
	stateTLS
	stateAuthenticating
	stateSubscribing
	stateOpen
	stateClosing
	stateLingering
	stateClosed
)

// conn is one client socket. Its fields are guarded by the loop's lock, except where a comment says otherwise. Other
// packages hold it as a handle, and only call the methods of hub.Conn and Waiter.
//
// Every idle connection has one. So it is small, 96 bytes, and gets from a pool what it needs only for a while.
type conn struct {
	link hub.Link // the hub's, guarded by its locks

	loop  *loop // static
	timer wheel.Links[*conn]
	due   uint32 // the tick at which timer fires, modulo 2^32

	lastRead instant // when the last bytes of frames came; before there are any, the accept; of an event stream, see hearAcks
	lastPing instant // when the last ping was sent; before there is one, a random moment before the 101
	expires  expiry  // when the token expires; 0: the connection does not end with it
	ipSlot   uint32  // static once admitted: its slot in Server.perIP; 0: none

	written uint32 // bytes that the kernel has taken, modulo 2^32

	out   *outQueue // nil while nothing waits to be written
	extra *extra    // nil unless the connection is pending, in the middle of a message, closing or lingering

	fd        int32 // static; once the state is closed, the number may be another client's
	state     state
	reason    Reason
	stream    bool // static once admitted: an event stream
	selfCheck bool // static once admitted: the server's own health check, in no count and no log
}

// extra is what a connection needs for a while. A loop keeps some for reuse.
type extra struct {
	// Pending.
	hs *pendingHandshake

	// In the middle of a TLS record, in any state after the TLS handshake, see tls_record.go.
	record []byte // what came of it

	// Of the record and the decoder, not while pending.
	counted int             // bytes of them that are counted in RecordBytes
	partial list.Node[conn] // in loop.partialInput, while any are

	// Open, in the middle of a frame or message.
	decoder wsproto.Decoder // closing: finds the client's close frame
	began   instant         // when the frame or message began
	free    bool            // it does not count against the inbound rate limit, see quietFor

	closing
}

// WheelLinks and WheelDue implement wheel.Entry.
func (c *conn) WheelLinks() *wheel.Links[*conn] { return &c.timer }
func (c *conn) WheelDue() *uint32               { return &c.due }

// HubLink implements hub.Conn.
func (c *conn) HubLink() *hub.Link { return &c.link }

// Deliver implements hub.Conn: it puts n into the mailbox of the connection's loop, and waits while that is full. The caller
// calls Server.Flush at the end of its batch.
func (c *conn) Deliver(n *hub.Notification) {
	if c.stream && n.Frame != nil {
		n = n.EventStream()
	}
	if !c.loop.mail.Push(delivery{c, n}, len(n.Frame), !c.selfCheck && n.Frame != nil) {
		c.failNotification(n, failedClosed)
	}
}

// stalled reports whether something waits because the kernel takes no more.
func (c *conn) stalled() bool { return c.out != nil && c.out.Progress.Stalled() }

// guard closes the connection after a panic, so that the process does not end. Everything that is done for one connection
// defers it.
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

// instant is a moment in the past, in milliseconds since the server started, modulo 2^32: half the size of a time.Duration,
// and good for 49 days of silence.
type instant uint32

// longestWait bounds Config.PingInterval and Config.PongWait.
const longestWait = 40 * 24 * time.Hour

// instantOf returns the instant of a moment, in time since the server started. It may lie before the start.
func instantOf(moment time.Duration) instant { return instant(moment / time.Millisecond) }

// ago returns the time from an instant to now. An instant that is a little later than now is now: now may have been read
// before it, as that of the timers of one pass is.
func (i instant) ago(now time.Duration) time.Duration {
	since := instantOf(now) - i
	if since > math.MaxUint32-instant(clockSkew/time.Millisecond) {
		return 0
	}
	return time.Duration(since) * time.Millisecond
}

// clockSkew is more than two readings of the clock within one pass of a loop lie apart, and leaves longestWait whole.
const clockSkew = 24 * time.Hour

// pool keeps objects for reuse, so that a storm of connections allocates little, and at most 256 of them, so that the
// memory is freed after it. Guarded by the lock of its loop. The zero value is empty.
type pool[T any] struct{ free []*T }

const pooledMost = 256

// get returns an object that is zero.
func (p *pool[T]) get() *T {
	last := len(p.free) - 1
	if last < 0 {
		return new(T)
	}
	t := p.free[last]
	p.free = p.free[:last]
	return t
}

// put takes an object back that nothing refers to.
func (p *pool[T]) put(t *T) {
	if len(p.free) < pooledMost {
		*t = *new(T)
		p.free = append(p.free, t)
	}
}

// resetExtra gives c.extra back, if there is one, or clears it but for the beginning of a record, whose rest is still to come.
func (c *conn) resetExtra() {
	if c.extra == nil || len(c.extra.record) == 0 {
		c.putExtra()
		return
	}
	c.extra.decoder, c.extra.free, c.extra.closing = wsproto.Decoder{}, false, closing{discardLeft: ignoredLimit}
	if !c.extra.partial.InAny() {
		c.extra.began = instantOf(c.loop.server.now())
	}
	c.countHeld()
}

// putExtra gives c.extra back, if there is one.
func (c *conn) putExtra() {
	if c.extra != nil {
		if c.extra.counted > 0 {
			c.extra.record, c.extra.decoder = nil, wsproto.Decoder{}
			c.countHeld()
		}
		c.loop.extras.put(c.extra)
		c.extra = nil
	}
}
