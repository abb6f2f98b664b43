package netpoll

import (
	"net/netip"

	"roost/netpoll/proxyproto"
	"roost/wsproto"
)

// Behind a proxy the other end of the socket is the proxy. Whose connection it is says a PROXY header before the
// request, or X-Forwarded-For in it, and only addresses that the Gate trusts are believed.
//
// With Config.ProxyProtocol a trusted address has to send the header, and no other may: a receiver "MUST not
// try to guess whether the protocol header is present or not" (section 2 of the specification). Who is named is then
// as good as if connected; if that is a trusted proxy again, its X-Forwarded-For is believed.

// readProxyHeader reads the PROXY header at the start of what a connection has sent: the zero value where none has to
// be. Without ok the connection has been seen to: more of the header is waited for, or it ends.
func (l *loop) readProxyHeader(c *conn, b []byte) (header proxyproto.Header, ok bool) {
	if !l.server.cfg.ProxyProtocol {
		return header, true
	}
	socket := peer(c.fd)
	if !socket.IsValid() {
		l.drop(c, ReasonGone)
		return header, false
	}
	header, verdict := proxyproto.Parse(b)
	if !l.server.gate().Trusts(socket.Addr()) {
		if verdict == proxyproto.Complete { // bad HTTP anyway; this way it is told why
			l.refuseHeader(c, socket, wsproto.RefuseProxyUntrusted())
		}
		return proxyproto.Header{}, verdict != proxyproto.Complete
	}
	switch verdict {
	case proxyproto.Complete:
		return header, true
	case proxyproto.Incomplete:
		l.keepHead(c, b, false)
	case proxyproto.Missing:
		l.refuseHeader(c, socket, wsproto.RefuseProxyMissing())
	case proxyproto.Broken:
		l.refuseHeader(c, socket, wsproto.RefuseProxyInvalid())
	}
	return proxyproto.Header{}, false
}

// refuseHeader refuses a connection for its PROXY header, or the lack of one. What is wrong is the configuration,
// here or at the proxy, and nobody gets in until it is put right.
func (l *loop) refuseHeader(c *conn, socket netip.AddrPort, refusal *wsproto.Refusal) {
	l.server.proxyLog.warn(socket, refusal)
	l.refuse(c, request{}, refusal, ReasonAnswered)
}

// askedSoFar is what is known of a request whose head is not complete. A PROXY header that was kept was believed: it came
// from a trusted address, or the connection would have ended.
func (l *loop) askedSoFar(c *conn) (req request) {
	if l.server.cfg.ProxyProtocol && c.part != nil {
		header, _ := proxyproto.Parse(c.part.head)
		req.named = header.Source
	}
	return req
}

// caller returns whose connection it is, as limits count and lines show it, and the other end of its socket: the
// same, but behind a trusted proxy. A port that is not known is 0. They are the zero value once the client is gone.
func (l *loop) caller(c *conn, req *request) (client, socket netip.AddrPort) {
	socket = peer(c.fd)
	client = socket
	if req.named.IsValid() {
		client = req.named
	}
	if address := l.server.gate().Client(&req.Request, client.Addr()); address != client.Addr() {
		client = netip.AddrPortFrom(address, 0)
	}
	return client, socket
}
