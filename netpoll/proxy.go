package netpoll

import (
	"net/netip"

	"roost/netpoll/proxyproto"
	"roost/wsproto/handshake"
)

// Behind a proxy the other end of the socket is the proxy. Whose connection it is says a PROXY header before the
// request, or X-Forwarded-For in it, and only addresses that the upgrader trusts are believed.
//
// With Config.ProxyProtocol a trusted address has to send the header, and no other may: a receiver "MUST not
// try to guess whether the protocol header is present or not" (section 2 of the specification). Who is named is then
// as good as if connected; if that is a trusted proxy again, its X-Forwarded-For is believed.

// readProxyHeader reads the PROXY header at the start of what a connection has sent, and returns its size: 0 where none
// has to be. Without ok the connection has been seen to: more of the header is waited for, or it ends.
func (c *conn) readProxyHeader(b []byte) (size int, ok bool) {
	if !c.loop.server.cfg.ProxyProtocol {
		return 0, true
	}
	h := c.extra.hs
	header, verdict := proxyproto.Parse(b)
	if !c.loop.server.upgrader().Trusts(h.peer.Addr()) {
		if verdict == proxyproto.Complete { // bad HTTP anyway; this way it is told why
			c.respondProxyError(handshake.RefuseProxyUntrusted())
		}
		return 0, verdict != proxyproto.Complete
	}
	switch verdict {
	case proxyproto.Complete:
		if header.Source.IsValid() {
			h.setClient(header.Source)
		}
		return header.Size, true
	case proxyproto.Incomplete:
		c.saveHead(b, false)
	case proxyproto.Missing:
		c.respondProxyError(handshake.RefuseProxyMissing())
	case proxyproto.Broken:
		c.respondProxyError(handshake.RefuseProxyInvalid())
	}
	return 0, false
}

// respondProxyError refuses a connection for its PROXY header, or the lack of one. What is wrong is the configuration,
// here or at the proxy, and nobody gets in until it is put right.
func (c *conn) respondProxyError(refusal *handshake.Refusal) {
	c.respondHeadError(refusal, ReasonAnswered)
}

// resolveClient finds out from a request whose connection it is, as limits count and lines show it: the other end of its
// socket, or whom a PROXY header names, or, where that is a trusted proxy, whom this reports.
func (c *conn) resolveClient(req *handshake.Request) {
	h := c.extra.hs
	if address := c.loop.server.upgrader().Client(req, h.client.Addr()); address != h.client.Addr() {
		h.setClient(netip.AddrPortFrom(address, 0))
	}
}
