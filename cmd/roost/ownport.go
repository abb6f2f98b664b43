package main

import (
	"context"
	"net"
	"net/http"
	"strconv"

	"github.com/coder/websocket"

	"roost/netpoll/proxyproto"
)

// localAddress is where this machine reaches a server that listens on host. It
// is a number where it can be, so that nobody has to be asked for it.
func localAddress(host string, port int) string {
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}

// localURL is host:port of the WebSocket port as this machine reaches it.
func (s *service) localURL() string {
	address := s.listener.Addr().(*net.TCPAddr) // a supervisor may have opened it, elsewhere than WS_HOST says
	return localAddress(address.IP.String(), address.Port)
}

// dialOwn opens a WebSocket on our own port.
func (s *service) dialOwn(ctx context.Context, query string) (*websocket.Conn, error) {
	return dial(ctx, "ws://"+s.localURL()+"/ws?"+query, &http.Client{Transport: &http.Transport{DialContext: s.dialProxied}})
}

// dialProxied connects to our own port. Where our address is that of a trusted proxy, the connection
// has to begin with a PROXY header as theirs do: the one for connections of the proxy itself.
func (s *service) dialProxied(ctx context.Context, network, address string) (net.Conn, error) {
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
