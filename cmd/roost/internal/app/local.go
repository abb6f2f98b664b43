package app

import (
	"context"
	"log/slog"
	"net"
	"net/http"

	"github.com/coder/websocket"

	"roost/client"
	"roost/cmd/roost/internal/remote"
	"roost/httpapi"
	"roost/netpoll/proxyproto"
)

// Dial opens a WebSocket on our own port.
func (s *Service) Dial(ctx context.Context, query string) (*websocket.Conn, error) {
	return remote.Dial(ctx, s.ports.url("ws", "wss")+"/ws?"+query, &http.Client{Transport: s.localTransport()})
}

// localTransport connects to our own port, whose certificate has to be ours.
func (s *Service) localTransport() *http.Transport {
	transport := &http.Transport{DisableKeepAlives: true, DialContext: s.dialProxied}
	if port := s.certificates.ws; port != nil {
		transport.TLSClientConfig = port.selfConfig()
	}
	return transport
}

// dialProxied connects to our own port. If our address counts as a trusted proxy, the connection has to begin with a PROXY
// header: that of a connection of the proxy's own.
func (s *Service) dialProxied(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil || !s.cfg.WSProxyProtocol || !s.current.Load().upgrader.Trusts(conn.LocalAddr().(*net.TCPAddr).AddrPort().Addr()) {
		return conn, err
	}
	if _, err := conn.Write(proxyproto.AppendLocal(nil)); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// The rest is for the demo.

// WebSocketAddr is host:port of the WebSocket port as this machine reaches it.
func (s *Service) WebSocketAddr() string { return localAddress(s.ports.first()) }

// LocalURL is the scheme, host and port of the WebSocket port as this machine reaches it.
func (s *Service) LocalURL() string { return s.ports.url("ws", "wss") }

// TLSAddr is host:port of the port for wss:// as this machine reaches it.
func (s *Service) TLSAddr() string { return localAddress(s.ports.secure) }

// AdminScheme is http or https.
func (s *Service) AdminScheme() string { return s.cfg.HTTPScheme() }

// AdminAddr is host:port of the admin server as this machine reaches it.
func (s *Service) AdminAddr() string {
	address := s.http.Addr().(*net.TCPAddr)
	return remote.LocalAddress(address.IP.String(), address.Port)
}

// Logger is the service's log.
func (s *Service) Logger() *slog.Logger { return s.log }

// OfferDemo has the console offer to connect and to publish. token signs one for a user.
func (s *Service) OfferDemo(token func(user string) (string, error)) {
	s.http.OfferDemo(httpapi.Demo{
		Socket:  s.pageURL() + "/ws",
		Script:  client.Script(),
		Token:   token,
		Publish: s.publishOne,
	})
}

// publishOne publishes for the demo.
func (s *Service) publishOne(ctx context.Context, user, notification string) error {
	p := httpapi.Publication{User: user, Notification: notification}
	if err := s.checkPublication(p); err != nil {
		return err
	}
	_, err := s.publish(ctx, []httpapi.Publication{p}, nil)
	return err
}

// pageURL is the WebSocket port for a page of the admin server: one that came over https may open wss:// only.
func (s *Service) pageURL() string {
	if s.AdminScheme() == "https" && s.ports.secure != nil {
		return "wss://" + localAddress(s.ports.secure)
	}
	return s.LocalURL()
}
