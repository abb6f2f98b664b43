package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"roost/cmd/roost/internal/alert"
	"roost/cmd/roost/internal/config"
	"roost/cmd/roost/internal/logging"
	"roost/redisfeed/publish"
)

type serveCmd struct{}

// Run serves until a signal comes, or until the server can't go on.
func (serveCmd) Run(env *environment) error {
	source, err := config.Open()
	if err != nil {
		return err
	}
	terminals := openTerminals()
	cfg, err := source.Load()
	if err != nil {
		// What is missing may be there under another name.
		warn(env, source.Unknown(os.Environ()))
		return err
	}
	from, err := newSockets()
	if err != nil {
		return err
	}
	return serve(env, serving{source: source, cfg: cfg, sockets: from,
		reloads: env.signals.hangUp, upgrades: env.signals.upgrade, terminals: terminals})
}

// serving is what to serve with.
type serving struct {
	source    config.Source
	cfg       config.Config
	sockets   *sockets
	reloads   <-chan os.Signal // SIGHUP; nil: nothing is reloaded
	upgrades  <-chan os.Signal // SIGUSR2
	terminals terminals
	ready     func(*service) // called once clients can connect; may be nil
}

// serve runs the service with its log and its alerts around it.
func serve(env *environment, with serving) error {
	cfg := with.cfg
	ctx, stop := context.WithCancel(env.ctx)
	defer stop()
	log := logging.New(logging.Config{
		Writer: env.log, Level: cfg.LogLevel(),
		Console: cfg.LoggerEncoding == "console", Development: cfg.Development(),
	})
	defer func() { _ = log.Close(2 * time.Second) }()
	// Its own failures go to the log directly: an alert about a failed alert
	// would not help.
	alerts := alert.New(alert.Config{
		ID: cfg.DiscordWebhookID, Token: cfg.DiscordWebhookToken, Name: "roost on " + hostName(), Logger: log.Logger(),
	})
	defer func() { _ = alerts.Close(3 * time.Second) }()
	logger := slog.New(alerts.Handler(log.Handler()))
	publish.RouteLibraryLog(logger)
	warnings := with.source.Warnings(cfg, os.Environ())
	for _, warning := range warnings {
		logger.Warn(warning)
	}

	s, err := newService(ctx, cfg, with.source, logger, with.sockets)
	if err != nil {
		return err
	}
	s.droppedLines, s.droppedAlerts = log.Dropped, alerts.Dropped
	s.reloads.asked, s.reloads.hungUp, s.reloads.setLevel = with.reloads, stop, log.SetLevel
	s.reloads.said, s.reloads.terminals = warnings, with.terminals
	s.upgrades.asked = with.upgrades
	s.told = s.supervise()
	defer s.told.Close()
	s.start()
	go func() {
		if s.awaitCharge(ctx) {
			alerts.Up(fmt.Sprintf("version %s, WebSocket on %s", version(), s.listener.Addr()))
		}
	}()
	if with.ready != nil {
		with.ready(s)
	}
	handedOver, err := s.wait(ctx)
	s.stopping.Store(true)
	if handedOver {
		s.told.Close() // the new process talks; to hear of stopping a supervisor would take for the end of the service
	} else {
		s.told.Stopping()
	}
	if err != nil {
		s.saysWhyNot(err, alerts)
		_ = s.stopInTime(broken)
		return errSaid
	}
	why := askedTo
	if handedOver {
		why = replaced
		go s.watchSuccessor(ctx)
	}
	logger.Info("stopping", "why", why.String(), "connections", s.hub.Connections())
	if !handedOver && s.inCharge() {
		alerts.Down(why.String())
	}
	if err := s.stopInTime(why); err != nil {
		logger.LogAttrs(context.Background(), logging.LevelCritical, "the service failed while it stopped", slog.Any("error", err))
		return errSaid
	}
	logger.Info("stopped")
	return nil
}

// saysWhyNot tells people that the service can't go on. When it is only that this process can't take over, the one before
// goes on.
func (s *service) saysWhyNot(err error, alerts *alert.Alerter) {
	if !s.speaks() {
		s.log.Error("this process can't take over and ends; the one before goes on", "error", err)
		return
	}
	s.log.LogAttrs(context.Background(), logging.LevelCritical, "the service can't go on", slog.Any("error", err))
	alerts.Down(err.Error())
}

func hostName() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown host"
	}
	return name
}
