package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"roost/cmd/roost/internal/config"
	"roost/cmd/roost/internal/tidymem"
	"roost/httpapi"
	"roost/hub"
	"roost/netpoll"
	"roost/redisfeed"
	"roost/wsproto"
)

// shutdownLimit is how long stopping may take. Supervisors give 30 s, and the
// last alert and the log want some of it.
const shutdownLimit = 25 * time.Second

// otherDescriptors is what the process opens besides the WebSocket server and
// the pool of Redis connections: log, subscription, side server and its clients.
const otherDescriptors = 96

// heapHeadroom is how much garbage, in bytes, may pile up between two
// collections in busy times.
const heapHeadroom = 16 << 20

// service is the rooms, wired together.
type service struct {
	cfg      config.Config
	log      *slog.Logger
	started  time.Time
	loops    int
	limit    int // connections open at once
	hub      *hub.Hub
	ws       *netpoll.Server
	listener *net.TCPListener
	feed     *redisfeed.Feed
	http     *httpapi.Server
	probe    *prober

	droppedLines  func() uint64 // static once started, as the next
	droppedAlerts func() uint64

	draining atomic.Bool
	failed   chan error // one for each long-running part
	stopFeed context.CancelFunc
	stopHTTP context.CancelFunc
	feedDone chan struct{} // closed when the feed has ended
	parts    sync.WaitGroup
}

// newService builds the rooms and opens both ports, so that a wrong setting or
// a port in use is heard of before anything runs.
func newService(ctx context.Context, cfg config.Config, log *slog.Logger) (*service, error) {
	none := func() uint64 { return 0 }
	s := &service{
		cfg: cfg, log: log, loops: loopsAndTwoMore(), started: time.Now(), failed: make(chan error, 3), feedDone: make(chan struct{}),
		droppedLines: none, droppedAlerts: none,
	}
	descriptors, err := netpoll.Descriptors()
	if err != nil {
		return nil, err
	}
	reserved := netpoll.OwnDescriptors(s.loops) + otherDescriptors + cfg.RedisPoolSize
	budget := netpoll.NewBudget(descriptors, reserved, cfg.WSMaxConnections)
	if budget.Connections < cfg.WSMaxConnections {
		log.Warn("the limit on open files allows fewer connections than WS_MAX_CONNECTIONS: raise it (ulimit -n, LimitNOFILE=)",
			"ws_max_connections", cfg.WSMaxConnections, "open_files", budget.Descriptors, "connections", budget.Connections)
	}
	s.limit = budget.Connections
	s.hub = hub.New(hub.Config{
		MaxConnections: budget.Connections, MaxNotification: cfg.WSMaxNotificationSize,
		MaxPerUser: cfg.WSMaxConnectionsPerUser, ReplaceOldest: cfg.WSUserLimit == "replace",
		Logger: log,
	})
	s.probe = newProber(s)
	feed := feedConfig(cfg, log)
	feed.Gap, feed.Arrived = s.tellGap, s.hub.Arrived
	if s.feed, err = redisfeed.New(feed, s.probe); err != nil {
		return nil, err
	}
	s.http = httpapi.New(s.httpConfig())
	if err := s.openPorts(ctx, budget); err != nil {
		return nil, err
	}
	return s, nil
}

// openPorts opens the two ports and makes what answers on them.
func (s *service) openPorts(ctx context.Context, budget netpoll.Budget) error {
	gate, err := wsproto.NewGate(wsproto.GateConfig{
		Secret:         []byte(s.cfg.JWTSecretKey),
		Previous:       secretsOf(s.cfg.JWTSecretKeyPrevious),
		Issuer:         s.cfg.JWTIssuer,
		Audience:       s.cfg.JWTAudience,
		AllowedOrigins: s.cfg.WSAllowedOrigins,
		TrustedProxies: s.cfg.WSTrustedProxies,
		Ticket:         s.probe.tickets.redeem,
	})
	if errors.Is(err, wsproto.ErrProxyPattern) {
		return fmt.Errorf("WS_TRUSTED_PROXIES: %w", err)
	}
	if errors.Is(err, wsproto.ErrOriginPattern) {
		return fmt.Errorf("WS_ALLOWED_ORIGINS: %w", err)
	}
	if err != nil {
		return err
	}
	s.listener, err = netpoll.Listen(ctx, netpoll.ListenConfig{
		Address: s.cfg.WSAddr(), SendBuffer: s.cfg.WSWriteBufferSize, ReusePort: s.cfg.WSReusePort,
	})
	if err != nil {
		return portError("WS_HOST, WS_PORT", s.cfg.WSAddr(), err)
	}
	if err := s.http.Listen(); err != nil {
		_ = s.listener.Close()
		return portError("HTTP_HOST, HTTP_PORT", s.cfg.HTTPAddr(), err)
	}
	s.ws, err = netpoll.New(s.socketConfig(gate, budget))
	return err
}

func secretsOf(list []string) (secrets [][]byte) {
	for _, s := range list {
		secrets = append(secrets, []byte(s))
	}
	return secrets
}

// portError names the variables that say which port to open.
func portError(variables, address string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s: %s is in use: stop the process that has it, or choose another port", variables, address)
	}
	return fmt.Errorf("%s: can't listen on %s: %w", variables, address, err)
}

// socketConfig is netpoll's part of the configuration.
func (s *service) socketConfig(gate *wsproto.Gate, budget netpoll.Budget) netpoll.Config {
	return netpoll.Config{
		Loops: s.loops,
		Gate:  gate, Hub: s.hub, Logger: s.log, Health: s.http.Health, Live: httpapi.Live(),
		HandshakeTimeout: s.cfg.WSHandshakeTimeout,
		PingInterval:     s.cfg.WSPingInterval,
		PongWait:         s.cfg.WSPongWait,
		WriteWait:        s.cfg.WSWriteWait,
		HandshakeRate:    s.cfg.WSHandshakeRate,
		HandshakeBurst:   s.cfg.WSHandshakeBurst,
		MessageRate:      s.cfg.WSMessageRate,
		MessageBurst:     s.cfg.WSMessageBurst,
		CloseSlow:        s.cfg.WSSlowConsumer == "close",
		QueueTotal:       s.cfg.WSMaxQueuedBytes,
		MaxMessage:       s.cfg.WSMaxMessageSize,
		ReadBuffer:       s.cfg.WSReadBufferSize,
		MaxSockets:       budget.Sockets,

		CloseOnExpiry:      s.cfg.WSCloseOnExpiry,
		MaxPerAddress:      s.cfg.WSMaxConnectionsPerIP,
		GapNotice:          s.cfg.WSGapNotice,
		RejectAfterUpgrade: s.cfg.WSRejectAfterUpgrade,
	}
}

// feedConfig is redisfeed's part of the configuration.
func feedConfig(cfg config.Config, log *slog.Logger) redisfeed.Config {
	feed := redisfeed.Config{
		Addr: cfg.RedisAddr(), Username: cfg.RedisUsername, Password: cfg.RedisPassword, DB: cfg.RedisDB,
		MaxRetries: cfg.RedisMaxRetries, MinIdleConns: cfg.RedisMinIdleConns,
		PoolSize: cfg.RedisPoolSize, PoolTimeout: cfg.RedisPoolTimeout,
		ConnMaxIdleTime: cfg.RedisConnMaxIdleTime, ConnMaxLifetime: cfg.RedisConnMaxLifetime,
		MaxAttempts: cfg.RedisFeedMaxAttempts, RetryDelay: cfg.RedisFeedRetryDelay,
		FlushWindow: cfg.WSFlushWindow,
		Logger:      log,
	}
	if cfg.RedisUseTLS {
		feed.TLS = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: cfg.RedisHost}
	}
	return feed
}

// tellGap is called by the feed when it is back.
func (s *service) tellGap(since time.Time) { s.ws.TellGap(since) }

// start sets the long-running parts going: one line each.
func (s *service) start() {
	feedCtx, stopFeed := context.WithCancel(context.Background())
	httpCtx, stopHTTP := context.WithCancel(context.Background())
	s.stopFeed, s.stopHTTP = stopFeed, stopHTTP
	s.parts.Go(func() { defer close(s.feedDone); s.ended("the Redis feed", s.feed.Run(feedCtx)) })
	s.parts.Go(func() { s.ended("the WebSocket server", s.ws.Serve(s.listener)) })
	s.parts.Go(func() { s.ended("the side server", s.http.Run(httpCtx)) })
	s.parts.Go(func() { tidymem.Run(httpCtx) })
	if os.Getenv("GOGC") == "" { // whoever sets it knows better
		context.AfterFunc(httpCtx, tidymem.Headroom(heapHeadroom))
	}
	s.log.Info("listening", "websocket", s.listener.Addr().String(), "http", s.http.Addr().String(),
		"redis", s.cfg.RedisAddr(), "version", version())
}

// ended is called with what a long-running part returned.
func (s *service) ended(part string, err error) {
	if err != nil && !errors.Is(err, netpoll.ErrClosed) {
		s.failed <- fmt.Errorf("%s: %w", part, err)
	}
}

// wait returns nil when ctx ends, or why the service can't go on.
func (s *service) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.failed:
		return err
	}
}

// stopInTime is stop, given up after shutdownLimit: a loop that hangs must not
// keep the process from ending.
func (s *service) stopInTime(farewell netpoll.Farewell) {
	stopped := make(chan struct{})
	go func() { s.stop(farewell); close(stopped) }()
	select {
	case <-stopped:
	case <-time.After(shutdownLimit + time.Second):
		s.log.Error("stopping takes too long; the rest is cut", "limit", shutdownLimit)
	}
}

// stop ends the parts in the order in which notifications pass through them:
// the feed, the connections (each with a close frame behind what it still has
// to get), the side server.
func (s *service) stop(farewell netpoll.Farewell) {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownLimit)
	defer cancel()
	s.draining.Store(true)
	s.stopFeed()
	select {
	case <-s.feedDone:
	case <-time.After(shutdownLimit / 3):
		s.log.Error("the Redis feed does not end; going on without it")
	}
	if err := s.ws.Shutdown(ctx, farewell); err != nil {
		s.log.Error("closing the connections", "error", err)
	}
	s.stopHTTP()
	s.parts.Wait()
	left := s.ws.Stats()
	s.log.Info("delivered", "sent", left.Sent, "failed", left.FailedTotal(), "accepted", left.Accepted)
}

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
	return localAddress(s.cfg.WSHost, s.listener.Addr().(*net.TCPAddr).Port)
}
