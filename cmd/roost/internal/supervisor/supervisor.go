// Package supervisor tells systemd, or whatever else speaks sd_notify(3), how the
// service is: ready, alive, stopping, and a line of status.
//
// It does nothing where NOTIFY_SOCKET is not set. A supervisor that reads slowly delays this package's goroutine and
// nothing else.
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
	"golang.org/x/sys/unix"
)

const (
	// statusEvery is how often the status line is looked at, unless a watchdog needs a message more often. Only changes
	// are sent.
	statusEvery = 10 * time.Second
	// askAgain is how long a service that is not ready is left alone.
	askAgain = 20 * time.Millisecond
	// maxNews is how much may wait for a supervisor that does not read.
	maxNews = 64
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
	// Speaks says whether this process is the service, or one that is about to take over from it: that says nothing until
	// it is ready, nor that it stops, which would be taken for the end of the service. nil: it is.
	Speaks func() bool
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
	news     chan string // from Reloading and Reloaded to run

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
	s := &Supervisor{cfg: cfg, watchdog: watchdog, stop: cancel, done: make(chan struct{}), news: make(chan string, maxNews)}
	s.serving, s.stopping = context.WithCancel(ctx)
	go func() { defer close(s.done); s.run(ctx) }()
	return s
}

// tellPatience is how long a service that takes over waits for a supervisor that does not read.
const tellPatience = time.Second

// TellMainProcess says that this process is the service's from now on: one that takes over says it before the old one
// ends. A supervisor that sees its main process end, and knows of no other, ends the service. Where the supervisor does not
// read, the message follows once it does.
func TellMainProcess(log *slog.Logger) {
	told := make(chan error, 1)
	go func() {
		_, err := daemon.SdNotify(false, mainPID()) // waits while the supervisor's queue is full
		told <- err
	}()
	select {
	case err := <-told:
		if err != nil {
			log.Warn("the supervisor can't be told which process is the service's: NOTIFY_SOCKET", "error", err)
		}
	case <-time.After(tellPatience):
		log.Warn("the supervisor does not read which process is the service's: NOTIFY_SOCKET", "after", tellPatience.String())
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

// Reloading says that the configuration is read again, and Reloaded that this is over. A supervisor that was asked for a
// reload waits in between. Neither waits. One goroutine at a time.
func (s *Supervisor) Reloading() {
	s.report(fmt.Sprintf("%s\nMONOTONIC_USEC=%d", daemon.SdNotifyReloading, monotonic().Microseconds()))
}

// Reloaded is for both ends: the status line, which goes with it, says which one it was.
func (s *Supervisor) Reloaded() { s.report(daemon.SdNotifyReady) }

// report has run tell something.
func (s *Supervisor) report(state string) {
	select {
	case <-s.done: // nobody listens
		return
	default:
	}
	select {
	case s.news <- state:
	default:
		s.cfg.Logger.Warn("the supervisor does not read what it is told", "state", state)
	}
}

// monotonic is the time of CLOCK_MONOTONIC: it tells a supervisor that the message is about the reload that it asked for.
func monotonic() time.Duration {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) // this clock is always there
	return time.Duration(now.Nano())
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
	if !s.begin() {
		return
	}
	if s.awaitReady() {
		// After an upgrade another process is the service's.
		s.tell(s.alsoToWatchdog(daemon.SdNotifyReady+"\n"+mainPID()) + "\n" + s.status())
		s.each(s.serving, s.news, s.keepAlive)
	}
	if s.stopped.Load() && s.speaks() {
		s.tell(s.alsoToWatchdog(daemon.SdNotifyStopping) + "\nSTATUS=stopping")
		s.each(ctx, nil, func() { s.tell(daemon.SdNotifyWatchdog) })
	}
}

// alsoToWatchdog adds the word to the watchdog to what begins something new. Its last one, from this process or the one
// before, may be an interval old, which is half of its patience, and the next comes after another one.
func (s *Supervisor) alsoToWatchdog(state string) string {
	if s.watchdog == 0 {
		return state
	}
	return state + "\n" + daemon.SdNotifyWatchdog
}

// begin says the first words, and returns false when there is nobody to hear them.
func (s *Supervisor) begin() bool {
	if os.Getenv("NOTIFY_SOCKET") == "" {
		return false
	}
	if !s.speaks() {
		return true
	}
	if _, err := daemon.SdNotify(false, s.status()); err != nil {
		s.cfg.Logger.Warn("the supervisor can't be told anything: NOTIFY_SOCKET", "error", err)
		return false
	}
	return true
}

func (s *Supervisor) speaks() bool { return s.cfg.Speaks == nil || s.cfg.Speaks() }

// awaitReady returns false when the end came first.
func (s *Supervisor) awaitReady() bool {
	for s.cfg.Ready(s.serving) != nil {
		select {
		case <-s.serving.Done():
			return false
		case <-s.news: // it is not ready either way
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

// each calls fn every interval, and tells the news, until ctx ends.
func (s *Supervisor) each(ctx context.Context, news <-chan string, fn func()) {
	ticker := time.NewTicker(s.interval())
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case state := <-news:
			s.tell(state + "\n" + s.status())
		case <-ticker.C:
			fn()
		}
	}
}

// interval is half of the watchdog's patience, as sd_watchdog_enabled(3) recommends.
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
