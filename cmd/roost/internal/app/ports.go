package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"

	"roost/cmd/roost/internal/config"
	"roost/httpapi"
	"roost/netpoll"
)

// openPorts opens the ports and makes the servers behind them.
func (s *Service) openPorts(ctx context.Context, budget netpoll.Budget) error {
	upgrader, err := s.openAuthenticators(ctx)
	if err != nil {
		return err
	}
	s.current.Store(&settings{cfg: s.cfg, source: s.source, read: s.cfg, budget: budget, upgrader: upgrader})
	if err := s.sockets.unused(s.cfg); err != nil {
		return err
	}
	if err := s.openWebSocketPorts(ctx); err != nil {
		return err
	}
	side, err := s.sockets.listen(socketHTTP, s.cfg.HTTPAddr(), func() (net.Listener, error) { return httpapi.Listen(ctx, s.cfg.HTTPAddr()) })
	if err != nil {
		s.closeWebSocketPorts()
		return portError("HTTP_HOST, HTTP_PORT", s.cfg.HTTPAddr(), err)
	}
	s.http.Use(side)
	s.warnOfOpenAdmin(s.cfg)
	s.ws, err = netpoll.New(s.socketConfig())
	return err
}

// warnOfOpenAdmin warns if other machines can reach the admin server without a token.
func (s *Service) warnOfOpenAdmin(cfg config.Config) {
	address, ok := s.http.Addr().(*net.TCPAddr) // a supervisor may have opened it, elsewhere than HTTP_HOST says
	if cfg.HTTPToken != "" || ok && address.IP.IsLoopback() {
		return
	}
	s.log.Warn("others can reach the admin server, and it asks for no token: set HTTP_TOKEN, or HTTP_HOST=127.0.0.1",
		"http", s.http.Addr().String())
}

// openWebSocketPorts opens the ports for ws:// and wss://, as far as they are wanted.
func (s *Service) openWebSocketPorts(ctx context.Context) (err error) {
	if s.cfg.WSPlain {
		if s.listener, err = s.listenWebSocket(ctx, socketWebSocket, s.cfg.WSAddr()); err != nil {
			return portError("WS_HOST, WS_PORT", s.cfg.WSAddr(), err)
		}
	}
	if !s.cfg.WSTLS() {
		return nil
	}
	if s.tlsListener, err = s.listenWebSocket(ctx, socketTLS, s.cfg.WSTLSAddr()); err != nil {
		s.closeWebSocketPorts()
		return portError("WS_TLS_HOST, WS_TLS_PORT", s.cfg.WSTLSAddr(), err)
	}
	return nil
}

func (s *Service) closeWebSocketPorts() {
	for _, l := range []*net.TCPListener{s.listener, s.tlsListener} {
		if l != nil {
			_ = l.Close()
		}
	}
}

// listenWebSocket opens or inherits a port for WebSocket connections.
func (s *Service) listenWebSocket(ctx context.Context, name, address string) (*net.TCPListener, error) {
	cfg := netpoll.ListenConfig{Address: address, Unsent: s.cfg.WSWriteBufferSize, ReusePort: s.cfg.WSReusePort}
	ln, err := s.sockets.listen(name, cfg.Address, func() (net.Listener, error) { return netpoll.Listen(ctx, cfg) })
	if err != nil {
		return nil, err
	}
	tcp, ok := ln.(*net.TCPListener)
	if !ok {
		return nil, fmt.Errorf("the socket that was given is of %s: it has to be of TCP", ln.Addr().Network())
	}
	return tcp, netpoll.Prepare(tcp, cfg)
}

// portError names the variables that say which port to open.
func portError(variables, address string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s: %s is in use: stop the process that has it, or choose another port", variables, address)
	}
	if errors.Is(err, syscall.EACCES) {
		return fmt.Errorf("%s: can't listen on %s: %w: ports below 1024 need CAP_NET_BIND_SERVICE (scripts/roost.service has it), a socket of systemd, or net.ipv4.ip_unprivileged_port_start", variables, address, err)
	}
	return fmt.Errorf("%s: can't listen on %s: %w", variables, address, err)
}
