package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"roost/cmd/roost/internal/config"
	"roost/cmd/roost/internal/gcpace"
	"roost/cmd/roost/internal/redisconfig"
	"roost/cmd/roost/internal/supervisor"
	"roost/cmd/roost/internal/tokenkeys"
	"roost/cmd/roost/internal/version"
	"roost/cmd/roost/internal/webhook"
	"roost/httpapi"
	"roost/hub"
	"roost/netpoll"
	"roost/redisfeed"
	"roost/redisfeed/presence"
)

// Service is the packages, wired together.
type Service struct {
	cfg       config.Config // as at the start; static
	source    config.Source // what cfg was read from; static
	current   atomic.Pointer[settings]
	keys      keyring
	reloads   reloads
	upgrades  upgrades
	took      tookOver // static once started
	log       *slog.Logger
	started   time.Time
	loops     int
	memLimit  slog.Attr // Go's, for the log; static
	hub       *hub.Hub
	ws        *netpoll.Server
	ports     ports // static once opened
	feed      *redisfeed.Feed
	presence  *presence.Writer // nil without REDIS_PRESENCE
	webhook   *webhook.Sender  // nil without WEBHOOK_URL
	http      *httpapi.Server
	selfCheck *selfCheck
	publishes chan struct{} // room for each batch that may be on its way to Redis
	sockets   *Sockets
	spare     spares
	jwks      *tokenkeys.Remote // nil without JWT_JWKS_URL

	certificates certificates

	droppedLines  func() uint64 // static once started, as the next
	droppedAlerts func() uint64

	draining      atomic.Bool
	hurry         atomic.Bool            // broadcasts no longer pause between chunks
	stopping      atomic.Bool            // reloads and upgrades are refused
	active        chan struct{}          // closed once this process serves and has told the old one to drain
	tried         chan struct{}          // closed once it has tried to
	supervisor    *supervisor.Supervisor // static once started
	failed        chan error             // room for each long-running part, and for the end of the new process
	stopFeed      context.CancelFunc
	stopHTTP      context.CancelFunc
	stopPresence  context.CancelFunc
	cutBroadcasts context.CancelFunc // gives up those that wait
	feedDone      chan struct{}      // closed when the feed has ended
	presenceDone  chan struct{}      // closed when presence has ended
	parts         sync.WaitGroup
}

// newService makes the parts and opens both ports, so that a wrong setting or a port in use is an error before anything runs.
func newService(ctx context.Context, cfg config.Config, source config.Source, log *slog.Logger, from *Sockets) (*Service, error) {
	none := func() uint64 { return 0 }
	s := &Service{
		cfg: cfg, source: source, log: log, sockets: from, loops: loopsAndTwoMore(), started: time.Now(),
		publishes: make(chan struct{}, max(1, min(maxPublishes, cfg.RedisPoolSize/2))),
		failed:    make(chan error, 8), feedDone: make(chan struct{}), presenceDone: make(chan struct{}), active: make(chan struct{}), tried: make(chan struct{}),
		upgrades: upgrades{done: make(chan struct{})}, reloads: reloads{more: make(chan struct{}, 1)},
		droppedLines: none, droppedAlerts: none,
	}
	budget, err := s.newBudget(cfg)
	if err != nil {
		return nil, err
	}
	if s.spare, err = openSpares(); err != nil {
		return nil, err
	}
	s.memLimit = limitMemory(cfg, budget, s.loops, log)
	resume, err := resumeConfig(cfg)
	if err != nil {
		return nil, err
	}
	if cfg.RedisFeed != "pattern" {
		resume.Hears = s.hears
	} else {
		resume.Proven = func() time.Time { return s.feed.Proven() } // the feed is not made yet
	}
	s.hub = hub.New(hub.Config{
		Limits:        settings{cfg: cfg, budget: budget}.limits(),
		TrackPresence: cfg.RedisPresence,
		GapNotice:     cfg.WSGapNotice,
		Resume:        resume,
		Logger:        log,
	})
	s.selfCheck = newSelfCheck(s)
	feed, err := redisconfig.New(cfg, log)
	if err != nil {
		return nil, err
	}
	if err := s.openWebhook(); err != nil {
		return nil, err
	}
	if cfg.RedisPresence {
		if s.presence, err = presence.New(feed.Config, cfg.RedisPresenceTTL, s.hub, s.tellWebhook()); err != nil {
			return nil, err
		}
		if s.webhook != nil {
			s.presence.KeepList(s.webhook)
		}
	}
	feed.Gap, feed.UserGap, feed.Arrived, feed.Reserve = s.tellGap, s.tellUserGap, s.hub.Arrived, s.spare.redis
	s.hearStream(&feed)
	if s.feed, err = redisfeed.New(feed, s.selfCheck); err != nil {
		return nil, err
	}
	if s.certificates, err = loadCertificates(cfg, log); err != nil {
		return nil, err
	}
	s.http = httpapi.New(s.httpConfig())
	if err := s.openPorts(ctx, budget); err != nil {
		return nil, err
	}
	return s, nil
}

// newBudget divides the descriptors, and warns if they are too few.
func (s *Service) newBudget(cfg config.Config) (netpoll.Budget, error) {
	descriptors, err := netpoll.Descriptors()
	if err != nil {
		return netpoll.Budget{}, err
	}
	reserved := ReservedDescriptors(cfg, s.loops)
	budget := netpoll.NewBudget(descriptors, reserved, cfg.WSMaxConnections)
	if budget.Connections < cfg.WSMaxConnections {
		s.log.Warn("the limit on open files allows fewer connections than WS_MAX_CONNECTIONS: raise it (ulimit -n, LimitNOFILE=)",
			"ws_max_connections", cfg.WSMaxConnections, "open_files", budget.Descriptors, "connections", budget.Connections)
	}
	return budget, nil
}

// socketConfig is netpoll's part of the configuration.
func (s *Service) socketConfig() netpoll.Config {
	return netpoll.Config{
		Rules: s.current.Load().rules(),
		Loops: s.loops, HoldLoops: s.sockets.takingOver(),
		Hub: s.hub, Logger: s.log, Health: s.http.PublicHealth, Live: httpapi.Live(),
		Subscriptions:    subscriptions{s.feed},
		SubscribeWait:    s.subscribeWait(),
		HandshakeTimeout: s.cfg.WSHandshakeTimeout,
		PingInterval:     s.cfg.WSPingInterval,
		PongWait:         s.cfg.WSPongWait,
		WriteWait:        s.cfg.WSWriteWait,
		CloseSlow:        s.cfg.WSSlowConsumer == "close",
		MaxMessage:       s.cfg.WSMaxMessageSize,
		ReadBuffer:       s.cfg.WSReadBufferSize,

		MaxAge:             s.cfg.WSMaxConnectionAge,
		CloseOnExpiry:      s.cfg.WSCloseOnExpiry,
		TLS:                s.certificates.server(),
		ProxyProtocol:      s.cfg.WSProxyProtocol,
		GapNotice:          s.cfg.WSGapNotice,
		RejectAfterUpgrade: rejectMode(s.cfg.WSRejectAfterUpgrade),
	}
}

// start starts the long-running parts, a line each.
func (s *Service) start() {
	feedCtx, stopFeed := context.WithCancel(context.Background())
	httpCtx, stopHTTP := context.WithCancel(context.Background())
	s.stopFeed, s.stopHTTP = stopFeed, stopHTTP
	broadcasts, cutBroadcasts := context.WithCancel(context.Background())
	s.cutBroadcasts = cutBroadcasts
	s.parts.Go(func() { defer close(s.feedDone); s.ended("the Redis feed", s.feed.Run(feedCtx)) })
	s.parts.Go(func() { s.hub.RunBroadcasts(func() { s.ws.WaitForLoops(broadcasts, !s.hurry.Load()) }) })
	s.parts.Go(func() { s.ended("the WebSocket server", s.serveClients(feedCtx)) })
	s.parts.Go(func() { s.ended("the admin server", s.serveOperators(httpCtx)) })
	s.parts.Go(func() { gcpace.Release(httpCtx) })
	if s.cfg.WSTLS() {
		s.parts.Go(func() { gcpace.Tighten(httpCtx) })
	}
	presenceCtx, stopPresence := context.WithCancel(context.Background())
	s.stopPresence = stopPresence
	if s.presence != nil {
		s.parts.Go(func() { defer close(s.presenceDone); s.ended("presence", s.presence.Run(presenceCtx)) })
	}
	if s.webhook != nil {
		s.parts.Go(s.runWebhook)
	}
	if s.jwks != nil {
		s.parts.Go(func() { s.ended("the JWKS", s.jwks.Run(httpCtx)) })
	}
	if s.certificates.ws != nil {
		s.parts.Go(func() { s.certificates.ws.run(httpCtx) })
		s.certificates.ws.awaitACME(httpCtx)
	}
	if s.certificates.any() {
		s.parts.Go(func() { s.certificates.watch(httpCtx) })
	}
	if s.reloads.asked != nil {
		s.parts.Go(func() { s.watchReloads(httpCtx) })
	}
	if s.upgrades.asked != nil {
		s.parts.Go(func() { s.watchUpgrades(httpCtx) })
	}
	if s.took.from != nil {
		s.parts.Go(func() { s.receiveLate() })
	}
	s.log.Info("listening", s.ports.attr(), "http", s.http.Addr().String(),
		"redis", s.cfg.RedisAddr(), "version", version.Number(), "pid", os.Getpid(), s.memLimit)
}

// serveClients serves until the WebSocket server is shut down or fails.
func (s *Service) serveClients(ctx context.Context) error {
	if err := s.waitForFeed(ctx); err != nil {
		close(s.tried)
		return err
	}
	served := make(chan error, 1)
	err := s.sockets.takeOver(func() {
		go func() { served <- s.ws.Serve(s.ports.plain, s.ports.secure) }()
		s.took.took.Store(int64(time.Since(s.started)))
		if s.sockets.takingOver() {
			supervisor.TellMainProcess(s.log) // the old one may end a moment after it is told to drain
		}
	}, func() {
		s.tellTakenOver()
		close(s.active)
	})
	close(s.tried)
	switch {
	case errors.Is(err, errEnded):
		return nil
	case err != nil:
		return fmt.Errorf("taking over: %w", err)
	}
	return <-served
}

// settleTakeover returns once this process has taken over, or never will. One that is to stop does not, but where it has the connections of
// the old process already: nobody else would close them, so it takes the rest over too.
func (s *Service) settleTakeover() {
	if s.took.from == nil {
		s.sockets.takeNothing()
		return
	}
	<-s.tried
}

// isActive reports whether this process serves clients, and has told the old one, if there is one, to drain.
func (s *Service) isActive() bool {
	select {
	case <-s.active:
		return true
	default:
		return false
	}
}

// mayReport reports whether this process may tell supervisors and people how the service is. One that is about to take over may
// not yet: its failure is not the service's.
func (s *Service) mayReport() bool { return !s.sockets.takingOver() || s.isActive() }

// awaitActive waits until this process is active. It returns false when ctx ends first.
func (s *Service) awaitActive(ctx context.Context) bool {
	select {
	case <-s.active:
		return true
	case <-ctx.Done():
		return false
	}
}

// serveOperators serves the admin server until ctx ends. A process that takes over waits until its feed is connected: until then
// the old one, which is healthy, answers.
func (s *Service) serveOperators(ctx context.Context) error {
	if err := s.waitForFeed(ctx); err != nil {
		return err
	}
	return s.http.Run(ctx)
}

// ended takes what a long-running part returned.
func (s *Service) ended(part string, err error) {
	if err != nil && !errors.Is(err, netpoll.ErrClosed) {
		s.failed <- fmt.Errorf("%s: %w", part, err)
	}
}

// wait returns when ctx ends, when a new process has taken over, or with the reason why the service can't go on. From then on nothing is
// reloaded or upgraded any more.
func (s *Service) wait(ctx context.Context) (why cause, err error) {
	select {
	case <-ctx.Done():
		if !s.giveUpHandoff() {
			return askedTo, nil
		}
		select { // the new process is about to say that it serves
		case <-s.upgrades.done:
			return handedOver, nil
		case err := <-s.failed:
			return broken, err
		}
	case <-s.upgrades.done:
		if s.handoff() != nil {
			return handedOver, nil
		}
		return replaced, nil
	case err := <-s.failed:
		s.giveUpHandoff()
		return broken, err
	}
}
