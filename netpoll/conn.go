package netpoll

import (
	"time"

	"github.com/panjf2000/gnet/v2"

	"roost/hub"
	"roost/wsproto"
)

// state is where in its life a connection is; see the package comment.
type state uint8

const (
	stateOpening state = iota
	stateOpen
	stateClosing
	stateLingering
	stateClosed
)

// conn is one client socket. It is owned by its loop but for the fields that
// say otherwise. Others hold it as a handle and only call Deliver.
//
// There is one for every idle connection: keep it small.
type conn struct {
	link hub.Link // the hub's, guarded by its locks

	// Static once the loop has opened the connection. That loop is not nil tells
	// the acceptor, when EnrollContext has returned, that it was.
	sock gnet.Conn
	loop *loop
	fd   int32

	probe bool // static once admitted: the server's own health check, outside counts and logs

	state   state
	reason  Reason
	watched bool // sits on the stall watch

	timer   timer
	out     *outQueue        // nil while nothing waits to be written
	decoder *wsproto.Decoder // nil between frames
	head    *partialHead     // nil unless a request head has come in part

	// All in time since the server started.
	heard    time.Duration // of the last bytes of frames; before there are any, of the accept
	pingAt   time.Duration // when the next ping is due
	giveUp   time.Duration // once ending: when the client has had its time
	stalled  time.Duration // since when the kernel takes nothing; 0: it does
	leftover int32         // while lingering: bytes that may still come and be thrown away
}

// partialHead is the beginning of a request head that comes in pieces.
type partialHead struct {
	bytes   []byte
	scanned int // bytes in which the head's end has been looked for
}

// HubLink implements hub.Conn.
func (c *conn) HubLink() *hub.Link { return &c.link }

// Deliver implements hub.Conn: it puts n into the mailbox of the connection's
// loop, waiting while that is full.
func (c *conn) Deliver(n *hub.Notification) {
	if !c.loop.mail.push(c, n) && !c.probe {
		c.loop.stats.failed[failedClosed].Add(1)
	}
}
