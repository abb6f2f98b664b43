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

// localURL is host:port of the WebSocket port as this machine reaches it.
func (s *Service) localURL() string {
	address := s.listener.Addr().(*net.TCPAddr) // a supervisor may have opened it, elsewhere than WS_HOST says
	return remote.LocalAddress(address.IP.String(), address.Port)
}

// Dial opens a WebSocket on our own port.
func (s *Service) Dial(ctx context.Context, query string) (*websocket.Conn, error) {
	return remote.Dial(ctx, "ws://"+s.localURL()+"/ws?"+query, &http.Client{Transport: &http.Transport{DialContext: s.dialProxied}})
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
func (s *Service) WebSocketAddr() string { return s.localURL() }

// AdminAddr is host:port of the admin server.
func (s *Service) AdminAddr() string { return s.http.Addr().String() }

// Logger is the service's log.
func (s *Service) Logger() *slog.Logger { return s.log }

// OfferDemo has the console offer to connect and to publish. token signs one for a user.
func (s *Service) OfferDemo(token func(user string) (string, error)) {
	s.http.OfferDemo(httpapi.Demo{
		Socket:  "ws://" + s.localURL() + "/ws",
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
	_, err := s.publish(ctx, []httpapi.Publication{p})
	return err
}
