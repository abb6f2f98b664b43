// Package supervisor tells systemd, or whatever else speaks sd_notify(3), how the
// service is: ready, alive, stopping, and a line of status.
//
// It does nothing where NOTIFY_SOCKET is not set. What a supervisor that reads
// slowly holds up is this package's goroutine and nothing else.
package supervisor

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

const (
	// statusEvery is how often the status line is looked at where no watchdog
	// wants to hear of us more often. Only changes are sent.
	statusEvery = 10 * time.Second
	// askAgain is how long a service that is not ready is left alone.
	askAgain = 20 * time.Millisecond
)

// Config says what to tell. All functions are called on the Supervisor's own
// goroutine.
type Config struct {
	// Ready returns nil when clients are served. It is asked until then, and
	// should come back by itself.
	Ready func(context.Context) error
	// Alive returns nil while the service does its work, and comes back when its
	// context ends. Without its nil the watchdog hears nothing.
	Alive func(context.Context) error
	// Status is one line for people: systemctl status shows it.
	Status func() string
	Logger *slog.Logger
}

// Supervisor is the conversation. Make it with Start.
type Supervisor struct {
	cfg      Config
	watchdog time.Duration // how long it waits for us; 0: there is none

	serving  context.Context    // until Stopping, or Close
	stopping context.CancelFunc // ends serving
	stopped  atomic.Bool        // Stopping was called
	stop     context.CancelFunc
	done     chan struct{}

	said   string // owned by run: the last status
	failed bool   // owned by run: the last message was not taken
}

// Start begins to talk, if there is anybody to talk to.
func Start(cfg Config) *Supervisor {
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		cfg.Logger.Warn("the supervisor's WATCHDOG_USEC makes no sense; its watchdog will hear nothing", "error", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Supervisor{cfg: cfg, watchdog: watchdog, stop: cancel, done: make(chan struct{})}
	s.serving, s.stopping = context.WithCancel(ctx)
	go func() { defer close(s.done); s.run(ctx) }()
	return s
}

// TellMainProcess says that this process is the service's from now on: one that takes over says it before the old one
// ends. A supervisor that sees its main process end, and knows of no other, ends the service.
func TellMainProcess(log *slog.Logger) {
	if _, err := daemon.SdNotify(false, mainPID()); err != nil {
		log.Warn("the supervisor can't be told which process is the service's: NOTIFY_SOCKET", "error", err)
	}
}

func mainPID() string { return fmt.Sprintf("MAINPID=%d", os.Getpid()) }

// Stopping says that the service is about to end. From now on the watchdog is told
// that all is well: stopping has a limit of its own, and loops that have ended
// don't answer. It does not wait. Any goroutine.
func (s *Supervisor) Stopping() {
	s.stopped.Store(true)
	s.stopping()
}

// Close ends the conversation, after a last word if there is one. It waits, but
// not for a supervisor that does not read.
func (s *Supervisor) Close() {
	s.stop()
	select {
	case <-s.done:
	case <-time.After(time.Second):
	}
}

// run is the goroutine.
func (s *Supervisor) run(ctx context.Context) {
	if there, err := daemon.SdNotify(false, s.status()); !there {
		if err != nil {
			s.cfg.Logger.Warn("the supervisor can't be told anything: NOTIFY_SOCKET", "error", err)
		}
		return
	}
	if s.awaitReady() {
		// Which process is the service's is news after an upgrade.
		s.tell(daemon.SdNotifyReady + "\n" + mainPID() + "\n" + s.status())
		s.each(s.serving, s.keepAlive)
	}
	if s.stopped.Load() {
		s.tell(daemon.SdNotifyStopping + "\nSTATUS=stopping")
		s.each(ctx, func() { s.tell(daemon.SdNotifyWatchdog) })
	}
}

// awaitReady returns false when the end came first.
func (s *Supervisor) awaitReady() bool {
	for s.cfg.Ready(s.serving) != nil {
		select {
		case <-s.serving.Done():
			return false
		case <-time.After(askAgain):
		}
	}
	return s.serving.Err() == nil
}

// keepAlive is done every interval.
func (s *Supervisor) keepAlive() {
	var states []string
	if s.watchdog > 0 && s.alive() {
		states = append(states, daemon.SdNotifyWatchdog)
	}
	if s.cfg.Status() != s.said {
		states = append(states, s.status())
	}
	if len(states) > 0 {
		s.tell(strings.Join(states, "\n"))
	}
}

// alive asks, for as long as the watchdog can wait.
func (s *Supervisor) alive() bool {
	ctx, cancel := context.WithTimeout(s.serving, s.interval())
	defer cancel()
	err := s.cfg.Alive(ctx)
	if err != nil && s.serving.Err() == nil {
		s.cfg.Logger.Error("the watchdog is not told that all is well", "error", err)
	}
	return err == nil
}

// each calls fn every interval until ctx ends.
func (s *Supervisor) each(ctx context.Context, fn func()) {
	ticker := time.NewTicker(s.interval())
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			fn()
		}
	}
}

// interval is half of the watchdog's patience, as sd_watchdog_enabled(3) wants it.
func (s *Supervisor) interval() time.Duration {
	if s.watchdog > 0 {
		return s.watchdog / 2
	}
	return statusEvery
}

// status is what to say, and remembers it.
func (s *Supervisor) status() string {
	s.said = s.cfg.Status()
	return "STATUS=" + s.said
}

// tell logs the first failure of a row.
func (s *Supervisor) tell(state string) {
	_, err := daemon.SdNotify(false, state)
	if err != nil && !s.failed {
		s.cfg.Logger.Warn("the supervisor can't be told", "state", state, "error", err)
	}
	s.failed = err != nil
}
