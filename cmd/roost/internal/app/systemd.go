package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"roost/cmd/roost/internal/supervisor"
)

// readyPatience is how long being ready waits for Redis. Without it clients can
// connect all the same, /health says what is missing, and the feed goes on trying:
// a Redis that is away must not hold up the boot, nor have the supervisor end a
// service that does what it should.
const readyPatience = 5 * time.Second

// errNotOurs: nobody answers on the port yet, or the process before this one does.
var errNotOurs = errors.New("this process is not in charge yet")

var errNoRedisYet = errors.New("redis is not connected yet")

// supervise tells the supervisor how the service is, if there is one.
func (s *Service) supervise() *supervisor.Supervisor {
	return supervisor.Start(supervisor.Config{
		Ready: s.ready, Alive: s.ws.CheckLoops, Status: s.statusLine, Logger: s.log,
		Speaks: s.mayReport,
	})
}

// ready is nil once the WebSocket port answers and Redis is connected, or has had
// its time.
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

// portAnswers asks the WebSocket port for /health. Whatever it says is an answer.
func (s *Service) portAnswers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.localURL()+"/health", nil)
	if err != nil {
		return err
	}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: s.dialProxied}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return fmt.Errorf("our own WebSocket port: %w", err)
	}
	return response.Body.Close()
}

// statusLine is what systemctl status shows.
func (s *Service) statusLine() string {
	line := fmt.Sprintf("%d connections of %d users", s.hub.Connections(), s.hub.Users())
	if !s.feed.Status().Connected {
		line += "; waiting for Redis"
	}
	if s.reloads.lastFailed.Load() {
		line += "; the last reload failed, see the log"
	}
	return line
}
