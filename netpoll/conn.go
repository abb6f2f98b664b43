package netpoll

import (
	"time"

	"roost/hub"
	"roost/netpoll/internal/wheel"
	"roost/wsproto"
)

// state is where in its life a connection is; see the package comment.
type state uint8

const (
	stateRequest state = iota
	stateAuthenticating
	stateSubscribing
	stateOpen
	stateClosing
	stateLingering
	stateClosed
)

// conn is one client socket. It is owned by its loop but for the fields that
// say otherwise. Others hold it as a handle and only call Deliver.
//
// There is one for every idle connection: it fills its 96 bytes, and what is
// needed only now and then it gets from a pool.
type conn struct {
	link hub.Link // the hub's, guarded by its locks

	loop  *loop // static
	timer wheel.Links[*conn]
	due   uint32 // when timer fires, a tick modulo 2^32

	lastRead instant // the last bytes of frames; before there are any, the accept
	lastPing instant // the last ping; before there is one, a while before the 101
	expires  uint32  // when the token does, in Unix seconds; 0: the connection stays
	ipSlot   uint32  // static once admitted: its place in the server's addresses; 0: none

	written uint32 // bytes that the kernel has taken for it so far, modulo 2^32

	out   *outQueue // nil while nothing waits to be written
	extra *extra    // nil but while pending, in the middle of a message, and while ending

	fd           int32 // static; another's once the state is closed
	state        state
	reason       Reason
	watchesWrite bool // the loop's epoll says when the kernel takes bytes again
	selfCheck    bool // static once admitted: the server's own health check, outside counts and logs
}

// extra is what a connection needs while something is under way. A loop has some in store.
type extra struct {
	hs *pendingHandshake // pending, see pending.go

	decoder wsproto.Decoder // open: stands in the middle of a frame or message; ending: finds the client's close frame

	next, prev  *conn         // ending: in the loop's closing or lingering
	closeBy     time.Duration // ending: when the client has had its time
	discardLeft int32         // ending: bytes that may still come and be thrown away
	began       instant       // open: when what the decoder is in the middle of began

	wasOpen    bool // ending: it had got its 101
	wantsClose bool // ending: the client has to send its close frame yet
	free       bool // open: what the decoder is in the middle of does not count, see quietFor
}

// WheelLinks and WheelDue implement wheel.Entry.
func (c *conn) WheelLinks() *wheel.Links[*conn] { return &c.timer }
func (c *conn) WheelDue() *uint32               { return &c.due }

// HubLink implements hub.Conn.
func (c *conn) HubLink() *hub.Link { return &c.link }

// Deliver implements hub.Conn: it puts n into the mailbox of the connection's
// loop, waiting while that is full. Server.Flush sends it on its way.
func (c *conn) Deliver(n *hub.Notification) {
	if !c.loop.mail.Push(delivery{c, n}, len(n.Frame), !c.selfCheck) {
		c.failNotification(n, failedClosed)
	}
}

// stalled reports whether something waits that the kernel does not take.
func (c *conn) stalled() bool { return c.out != nil && c.out.Progress.Stalled() }

// instant is a moment in the past, in milliseconds since the server started
// modulo 2^32: half the size of a time.Duration, and good for 49 days of silence.
type instant uint32

// longestWait bounds Config.PingInterval and Config.PongWait.
const longestWait = 40 * 24 * time.Hour

// instantOf returns when a moment, in time since the server started, is. It may
// lie before the start.
func instantOf(moment time.Duration) instant { return instant(moment / time.Millisecond) }

// ago returns how long before now an instant was.
func (i instant) ago(now time.Duration) time.Duration {
	return time.Duration(instantOf(now)-i) * time.Millisecond
}

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

// putExtra gives c.extra back, if there is one.
func (c *conn) putExtra() {
	if c.extra != nil {
		c.loop.extras.put(c.extra)
		c.extra = nil
	}
}
