package httpapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/procfs"

	"roost/internal/loglimit"
)

// Bounds on what one client of the admin server may hold, in time and bytes; conns bounds how many there are.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second
	writeTimeout      = 15 * time.Second // a deep check's 5 s included
	// idleTimeout is short: a client that scrapes every 15 s loses nothing by connecting each time.
	idleTimeout    = 10 * time.Second
	maxHeaderBytes = 16 << 10
	// shutdownTimeout is for the requests under way when Run's context ends.
	shutdownTimeout = 5 * time.Second
	// waitingTimeout is for those that are on their way then: net/http would wait as long for the rest of a head.
	waitingTimeout = 500 * time.Millisecond
)

// Server is the admin server.
type Server struct {
	cfg      Config                 // Static. In place of Config.Token read token.
	token    atomic.Pointer[string] // Any goroutine. The token that requests have to carry; Config.Token at first.
	http     *http.Server           // Static.
	conns    *conns                 // Any goroutine.
	machine  *machine               // Static.
	gatherer *gatherer              // Any goroutine.
	history  *history               // Any goroutine; nil without a console.
	demo     atomic.Pointer[Demo]   // Any goroutine.
	deep     *deepCheck             // Any goroutine.
	publish  *publisher             // Any goroutine; nil without Config.Publishing.
	stop     context.CancelFunc     // Any goroutine. Ends deep checks.
	listener net.Listener           // Set by Listen or Use, before Run and Addr are called.
	released chan struct{}          // Closed by Release.
}

// New makes a server that does not listen yet.
func New(cfg Config) *Server {
	cfg = cfg.withDefaults()
	ctx, stop := context.WithCancel(context.Background())
	machine := newMachine(procfs.DefaultMountPoint)
	s := &Server{
		cfg:     cfg,
		machine: machine,
		deep:    &deepCheck{probe: cfg.Probe, ctx: ctx, logger: cfg.Logger},
		stop:    stop,
		conns:   newConns(MaxConnections, cfg.Reserve, cfg.Logger),

		released: make(chan struct{}),
	}
	s.gatherer = newGatherer(cfg, s.stats, machine)
	s.SetToken(cfg.Token)
	if cfg.Publishing != nil {
		s.publish = newPublisher(cfg)
	}
	if cfg.Console {
		s.history = &history{stats: s.stats}
	}
	s.http = &http.Server{
		Handler:           s.conns.serving(s.Handler()),
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ConnState:         s.conns.waits,
		ConnContext:       s.conns.context,
		ErrorLog:          errorLog(cfg.Logger),
	}
	return s
}

// Listen opens the port, so that main learns whether it may before it starts anything. Its error names the address,
// and wraps syscall.EADDRINUSE when another process has it.
func (s *Server) Listen() error {
	l, err := Listen(context.Background(), s.cfg.Addr)
	if err != nil {
		return err
	}
	s.Use(l)
	return nil
}

// Use has the server serve on a listener that is open already, in place of Listen.
func (s *Server) Use(l net.Listener) { s.listener = l }

// Listen opens a port as Server.Listen does, for whoever hands it to Server.Use. 0.0.0.0 is IPv4 alone; :: and no host are
// IPv6 too.
func Listen(ctx context.Context, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	network := "tcp"
	host, _, _ := net.SplitHostPort(addr) // what is wrong with it, to listen says
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is4() {
		network = "tcp4" // Go would make a socket for both of 0.0.0.0
	}
	l, err := lc.Listen(ctx, network, addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("httpapi: %s is in use already: %w", addr, err)
	case err != nil:
		return nil, fmt.Errorf("httpapi: cannot listen on %s: %w", addr, err)
	}
	return l, nil
}

// Addr is the address that Listen opened, with the real port. It is nil before.
func (s *Server) Addr() net.Addr {
	if s.listener == nil {
		return nil
	}
	return s.listener.Addr()
}

// Run serves until ctx ends, and then gives the requests under way 5 s. It listens first when Listen was not called.
// It is called once, and returns nil unless the server failed.
func (s *Server) Run(ctx context.Context) error {
	defer s.stop()
	if s.listener == nil {
		if err := s.Listen(); err != nil {
			return err
		}
	}
	if s.history != nil {
		go s.history.run(ctx)
	}
	served := make(chan error, 1)
	go func() { served <- s.http.Serve(s.acceptor()) }()
	select {
	case err := <-served:
		select {
		case <-s.released:
			<-ctx.Done()
			s.shutdown()
			return nil
		default:
			return fmt.Errorf("httpapi: %w", err)
		}
	case <-ctx.Done():
	}
	s.shutdown()
	<-served
	return nil
}

// acceptor is what net/http accepts from.
func (s *Server) acceptor() net.Listener {
	bounded := boundedListener{s.listener, s.conns}
	if s.cfg.TLS == nil {
		return bounded
	}
	c := s.cfg.TLS.Clone()
	c.NextProtos = []string{"http/1.1"} // of HTTP/2, conns could not say whether a request is answered
	return tls.NewListener(bounded, c)
}

// Release accepts no more: another process has the listener too, and answers from now on. Requests on their way here are
// answered, which http.Server's Shutdown would not do. It is called once, while Run runs.
func (s *Server) Release() {
	close(s.released)
	s.http.SetKeepAlivesEnabled(false)
	_ = s.listener.Close() // which can't fail in a way that matters
}

// shutdown waits for requests under way, and cuts those that take too long.
func (s *Server) shutdown() {
	s.stop()
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	defer time.AfterFunc(waitingTimeout, s.conns.closeWaiting).Stop()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, net.ErrClosed) { // the listener, which Release has closed: net/http says so if it has not noticed yet
		err = nil
	}
	if err != nil {
		s.cfg.Logger.Warn("requests cut off at shutdown", slog.String("error", err.Error()))
		_ = s.http.Close() // its error is one of closing sockets that are of no use any more
	}
}

// stats is Config.Stats and the server's own numbers.
func (s *Server) stats() Stats {
	stats := s.cfg.Stats()
	stats.AdminConnections, stats.AdminEvicted = s.conns.read()
	if s.publish != nil {
		stats.PublishRequests, stats.PublishedOverHTTP, stats.PublishRepeats = s.publish.counts()
	}
	return stats
}

// errorLog is what net/http writes to.
func errorLog(logger *slog.Logger) *log.Logger {
	return log.New(&errorWriter{logger: logger, handshakes: loglimit.New(10*time.Second, 3)}, "", 0)
}

// errorWriter logs what net/http writes. Any goroutine.
type errorWriter struct {
	logger     *slog.Logger
	handshakes *loglimit.Limit // every probe and every scanner causes one
}

// Write logs a line.
func (c *errorWriter) Write(line []byte) (int, error) {
	text := strings.TrimSuffix(string(line), "\n")
	failed, isHandshake := strings.CutPrefix(text, "http: TLS handshake error from ")
	if !isHandshake {
		c.logger.Warn(text)
		return len(line), nil
	}
	if leftOut, ok := c.handshakes.Allow(); ok {
		from, why, _ := strings.Cut(failed, ": ")
		c.logger.Warn("a TLS handshake with the admin server failed", "remote", from, "error", why, "others_left_out", leftOut)
	}
	return len(line), nil
}
