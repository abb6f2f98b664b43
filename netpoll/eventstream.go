package netpoll

import (
	"time"

	"golang.org/x/sys/unix"

	"roost/wsproto"
	"roost/wsproto/handshake"
)

// An event stream (GET /sse, see package handshake) is an open connection like any other, that gets events in place of frames.
// It differs in what this file has:
//
//   - A notification is delivered as an event (conn.Deliver). All else is built as frames and translated where it is written.
//   - Its client can't send a pong. Bytes that its kernel acknowledges show that it lives, so it gets a heartbeat in place of
//     a ping. That kernel is the client's, or that of the proxy before it.
//   - The end of the stream follows the close event at once.
//   - Bytes from its client are thrown away.

// answer appends the answer to a request that is admitted.
func (s *Server) answer(dst []byte, req *handshake.Request) []byte {
	if req.Kind == handshake.EventStream {
		return req.AppendEventStream(dst, s.streamRetry())
	}
	return req.AppendUpgrade(dst)
}

// leastStreamRetry is the least time after which clients come back whose stream has ended.
const leastStreamRetry = time.Second

// streamRetry returns how long the client of an event stream is to wait when it has ended: for each client another time,
// because they will have lost their connections at the same moment, and a browser adds no jitter.
func (s *Server) streamRetry() time.Duration { return leastStreamRetry + s.jitter() }

// translated returns frames as the connection gets them. It allocates for an event stream.
func (c *conn) translated(frames []byte) []byte {
	if !c.stream {
		return frames
	}
	return wsproto.AppendEvents(nil, frames)
}

// sendHeartbeat sends what keeps the connection open, in place of a ping. Where clients can resume it has the position:
// without a ping of its own the client of an idle stream would know none that is newer than its last event.
func (c *conn) sendHeartbeat() {
	beat := wsproto.Heartbeat()
	if c.loop.server.resumes && !c.selfCheck {
		p, ok := c.position()
		switch {
		case c.state != stateOpen: // what was delivered meanwhile has ended it
			return
		case ok:
			beat = wsproto.AppendPositionEvent(nil, p)
		}
	}
	if c.out != nil {
		c.out.Ping = beat
		return
	}
	c.send(beat)
}

// hearAcks sets lastRead of an event stream to the last acknowledgement of its client. It costs a system call.
func (c *conn) hearAcks(now time.Duration) {
	if at := instantOf(now - sinceAck(c.fd)); at.ago(now) < c.lastRead.ago(now) {
		c.lastRead = at
	}
}

// sinceAck returns how long ago the other end of a socket acknowledged anything: 0 where the kernel does not say.
func sinceAck(fd int32) time.Duration {
	info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return 0
	}
	return time.Duration(info.Last_ack_recv) * time.Millisecond
}

// ignoredLimit bounds what the client of an event stream may send after its request.
const ignoredLimit = handshake.MaxHead

// ignore throws away what the client of an event stream sends, and ends the connection where that is too much.
func (c *conn) ignore(b []byte) {
	if c.extra == nil {
		c.extra = c.loop.extras.get()
		c.extra.discardLeft = ignoredLimit
	}
	c.extra.discardLeft -= int32(min(len(b), ignoredLimit+1))
	if c.extra.discardLeft < 0 {
		c.closeWith(ReasonTooBig, wsproto.AppendClose(c.loop.scratch[:0], wsproto.CloseTooBig, "nothing is to be sent on an event stream"))
	}
}
