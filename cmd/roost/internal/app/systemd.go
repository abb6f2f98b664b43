package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"roost/cmd/roost/internal/supervisor"
	"roost/internal/plural"
)

// readyPatience is how long the service waits for Redis before it reports ready. Without Redis clients can connect all the same,
// /health says what is missing, and the feed keeps trying. A missing Redis must not delay the boot, nor make the supervisor end
// a service that works.
const readyPatience = 5 * time.Second

// errNotOurs: the port does not answer yet, or the old process answers.
var errNotOurs = errors.New("this process is not in charge yet")

var errNoRedisYet = errors.New("redis is not connected yet")

// supervise reports to the supervisor, if there is one.
func (s *Service) supervise() *supervisor.Supervisor {
	return supervisor.Start(supervisor.Config{
		Ready: s.ready, Alive: s.ws.CheckLoops, Status: s.statusLine, Logger: s.log,
		Speaks: s.mayReport,
	})
}

// ready is nil once the WebSocket port answers, and Redis is connected or readyPatience has passed.
func (s *Service) ready(ctx context.Context) error {
	if !s.isActive() {
		return errNotOurs
	}
	if err := s.portAnswers(ctx); err != nil {
		return err
	}
	if !s.feed.Status().Connected && time.Since(s.started) < readyPatience {
		return errNoRedisYet
	}
	return nil
}

// portAnswers asks the WebSocket port for /health. Any status will do.
func (s *Service) portAnswers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if port := s.certificates.ws; s.ports.plain == nil && len(port.shown()) == 0 {
		return s.portListens(ctx) // the ACME server asks this port before there is a certificate
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.ports.url("http", "https")+"/health", nil)
	if err != nil {
		return err
	}
	response, err := s.localTransport().RoundTrip(request)
	if err != nil {
		return fmt.Errorf("our own WebSocket port: %w", err)
	}
	return response.Body.Close()
}

// portListens only connects.
func (s *Service) portListens(ctx context.Context) error {
	conn, err := s.dialProxied(ctx, "tcp", localAddress(s.ports.first()))
	if err != nil {
		return fmt.Errorf("our own WebSocket port: %w", err)
	}
	return conn.Close()
}

// statusLine is what systemctl status shows.
func (s *Service) statusLine() string {
	line := plural.Count(s.hub.Connections(), "connection") + " of " + plural.Count(s.hub.Users(), "user")
	if !s.feed.Status().Connected {
		line += "; waiting for Redis"
	}
	if s.reloads.lastFailed.Load() {
		line += "; the last reload failed, see the log"
	}
	return line
}
