package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"syscall"

	"roost/cmd/roost/internal/config"
	"roost/cmd/roost/internal/remote"
	"roost/httpapi"
	"roost/netpoll"
)

// ports are the listening sockets for WebSockets.
type ports struct {
	plain  *net.TCPListener // nil with WS_PLAIN=false
	secure *net.TCPListener // nil without wss://
}

// open opens or inherits the ports that the configuration asks for.
func (p *ports) open(ctx context.Context, cfg config.Config, from *Sockets) (err error) {
	if cfg.WSPlain {
		if p.plain, err = listenWebSocket(ctx, cfg, from, socketWebSocket, cfg.WSAddr()); err != nil {
			return portError("WS_HOST, WS_PORT", cfg.WSAddr(), err)
		}
	}
	if cfg.WSTLS() {
		if p.secure, err = listenWebSocket(ctx, cfg, from, socketTLS, cfg.WSTLSAddr()); err != nil {
			p.close()
			return portError("WS_TLS_HOST, WS_TLS_PORT", cfg.WSTLSAddr(), err)
		}
	}
	return nil
}

func (p *ports) close() {
	for _, l := range []*net.TCPListener{p.plain, p.secure} {
		if l != nil {
			_ = l.Close()
		}
	}
}

// listenWebSocket opens or inherits a port for WebSockets.
func listenWebSocket(ctx context.Context, from config.Config, sockets *Sockets, name, address string) (*net.TCPListener, error) {
	cfg := netpoll.ListenConfig{Address: address, Unsent: from.WSWriteBufferSize, ReusePort: from.WSReusePort}
	ln, err := sockets.listen(name, cfg.Address, func() (net.Listener, error) { return netpoll.Listen(ctx, cfg) })
	if err != nil {
		return nil, err
	}
	tcp, ok := ln.(*net.TCPListener)
	if !ok {
		return nil, fmt.Errorf("the socket that was given is of %s: it has to be of TCP", ln.Addr().Network())
	}
	return tcp, netpoll.Prepare(tcp, cfg)
}

// first is the port that this process checks itself: the plain one, where there is one.
func (p *ports) first() *net.TCPListener {
	if p.plain != nil {
		return p.plain
	}
	return p.secure
}

// attr has the addresses, for the log.
func (p *ports) attr() slog.Attr {
	var all []any
	if p.plain != nil {
		all = append(all, "websocket", p.plain.Addr().String())
	}
	if p.secure != nil {
		all = append(all, "websocket_tls", p.secure.Addr().String())
	}
	return slog.Group("", all...)
}

// url is where this machine reaches the first port, without a path, with the scheme for plain connections or the one for secure
// ones.
func (p *ports) url(plain, secure string) string {
	if p.plain == nil {
		plain = secure
	}
	return plain + "://" + localAddress(p.first())
}

// localAddress is host:port of a port as this machine reaches it.
func localAddress(l *net.TCPListener) string {
	address := l.Addr().(*net.TCPAddr) // a supervisor may have opened it, elsewhere than WS_HOST says
	return remote.LocalAddress(address.IP.String(), address.Port)
}

// openPorts opens all ports and makes the servers behind them.
func (s *Service) openPorts(ctx context.Context, budget netpoll.Budget) error {
	upgrader, err := s.openAuthenticators(ctx)
	if err != nil {
		return err
	}
	s.current.Store(&settings{cfg: s.cfg, source: s.source, read: s.cfg, budget: budget, upgrader: upgrader})
	if err := s.sockets.unused(s.cfg); err != nil {
		return err
	}
	if err := s.ports.open(ctx, s.cfg, s.sockets); err != nil {
		return err
	}
	side, err := s.sockets.listen(socketHTTP, s.cfg.HTTPAddr(), func() (net.Listener, error) { return httpapi.Listen(ctx, s.cfg.HTTPAddr()) })
	if err != nil {
		s.ports.close()
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
