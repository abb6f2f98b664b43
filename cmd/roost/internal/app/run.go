package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"roost/cmd/roost/internal/alert"
	"roost/cmd/roost/internal/config"
	"roost/cmd/roost/internal/logging"
	"roost/cmd/roost/internal/version"
	"roost/redisfeed/publish"
)

// Options are the settings and channels of a service.
type Options struct {
	Config config.Config
	Source config.Source // what Config was read from

	Log       io.Writer
	Reload    <-chan os.Signal // SIGHUP; nil: nothing is reloaded
	Upgrade   <-chan os.Signal // SIGUSR2
	Terminals Terminals        // SIGHUP stops the service when one of them is gone

	// Sockets has the listening sockets.
	Sockets *Sockets
	// Ready is called once clients can connect. Optional.
	Ready func(*Service)
}

// ErrLogged says that the service failed. The log has the cause.
var ErrLogged = errors.New("the service failed; its log says why")

// Run serves until ctx ends or the service can't go on, with its log and its alerts around it. The error is [ErrLogged], or
// says why the service could not start.
func Run(ctx context.Context, options Options) error {
	cfg := options.Config
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	log := logging.New(logging.Config{
		Writer: options.Log, Level: cfg.LogLevel(),
		Console: cfg.LoggerEncoding == "console", Development: cfg.Development(),
	})
	defer func() { _ = log.Close(2 * time.Second) }()
	// Failures of alerts go to the log alone: an alert about a failed alert would not help.
	alerts := alert.New(alert.Config{
		ID: cfg.DiscordWebhookID, Token: cfg.DiscordWebhookToken, Name: "roost on " + hostName(), Logger: log.Logger(),
	})
	defer func() { _ = alerts.Close(3 * time.Second) }()
	logger := slog.New(alerts.Handler(log.Handler()))
	publish.RouteLibraryLog(logger)
	warnings := options.Source.Warnings(cfg, os.Environ())
	for _, warning := range warnings {
		logger.Warn(warning)
	}

	s, err := newService(ctx, cfg, options.Source, logger, options.Sockets)
	if err != nil {
		return err
	}
	s.droppedLines, s.droppedAlerts = log.Dropped, alerts.Dropped
	s.reloads.asked, s.reloads.hungUp, s.reloads.setLevel = options.Reload, stop, log.SetLevel
	s.reloads.warned, s.reloads.terminals = warnings, options.Terminals
	s.upgrades.asked = options.Upgrade
	return s.run(ctx, options.Ready, alerts)
}

// run serves, and stops the service in the end. ready may be nil.
func (s *Service) run(ctx context.Context, ready func(*Service), alerts *alert.Alerter) error {
	s.supervisor = s.supervise()
	defer s.supervisor.Close()
	if err := s.takeConnections(ctx); err != nil {
		if ctx.Err() != nil {
			s.log.Info("stopping", "why", askedTo.String(), "connections", 0)
			return nil
		}
		s.reportFailure(err, alerts)
		return ErrLogged
	}
	s.start()
	go func() {
		if s.awaitActive(ctx) {
			alerts.Up(fmt.Sprintf("version %s, WebSocket on %s", version.Number(), s.ports.first().Addr()))
		}
	}()
	if ready != nil {
		ready(s)
	}
	why, err := s.wait(ctx)
	s.settleTakeover() // before a word is said: what stops must not take over, and what it says depends on whether it has
	if why == replaced || why == handedOver {
		s.supervisor.Close() // the new process reports; a supervisor would take STOPPING for the end of the service
	} else {
		s.supervisor.Stopping()
	}
	if err != nil {
		s.reportFailure(err, alerts)
		_ = s.stopInTime(broken)
		return ErrLogged
	}
	return s.finish(ctx, why, alerts)
}

// finish stops a service that has not failed.
func (s *Service) finish(ctx context.Context, why cause, alerts *alert.Alerter) error {
	s.log.Info("stopping", "why", why.String(), "connections", s.hub.Connections())
	switch {
	case why == replaced || why == handedOver:
		go s.watchChild(ctx)
	case s.isActive():
		alerts.Down(why.String())
	}
	if err := s.stopInTime(why); err != nil {
		s.log.LogAttrs(context.Background(), logging.LevelCritical, "the service failed while it stopped", slog.Any("error", err))
		return ErrLogged
	}
	if h := s.handoff(); h != nil {
		select { // nobody watches for reloads any more
		case <-s.reloads.asked:
			h.tellReload()
		default:
		}
	}
	s.log.Info("stopped")
	return nil
}

// reportFailure logs and posts that the service can't go on. A process that fails to take over says so in its log only: the old
// one goes on.
func (s *Service) reportFailure(err error, alerts *alert.Alerter) {
	if !s.mayReport() {
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
