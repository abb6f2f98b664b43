package netpoll

import (
	"github.com/panjf2000/gnet/v2"
)

// handler is what gnet calls. Every connection's context is its *conn; a bell's
// is its *loop. Decisions are made elsewhere.
type handler struct {
	gnet.BuiltinEventEngine
	server *Server
}

// OnOpen runs on the loop that the socket was enrolled into.
func (h *handler) OnOpen(sock gnet.Conn) ([]byte, gnet.Action) {
	switch context := sock.Context().(type) {
	case *conn:
		l := h.server.loopOf(sock.EventLoop())
		l.open(context, sock)
		l.socketEvent()
	case *loop:
		context.engine = sock.EventLoop()
	}
	return nil, gnet.None
}

// OnTraffic runs on the connection's loop when bytes have come. Everything is
// taken: what gnet finds left it would copy into a buffer of its own.
func (h *handler) OnTraffic(sock gnet.Conn) gnet.Action {
	b, _ := sock.Next(-1)
	switch context := sock.Context().(type) {
	case *conn:
		context.loop.traffic(context, b)
		context.loop.socketEvent()
	case *loop:
		context.drain()
	}
	return gnet.None
}

// OnClose runs on the connection's loop before the descriptor is closed, also
// from inside a call that closes it.
func (h *handler) OnClose(sock gnet.Conn, _ error) gnet.Action {
	if c, ok := sock.Context().(*conn); ok && c.loop != nil {
		c.loop.closed(c)
	}
	return gnet.None
}

// traffic is received with a net under it.
func (l *loop) traffic(c *conn, b []byte) {
	defer l.guard(c)
	l.received(c, b)
}
