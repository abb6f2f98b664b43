package alert

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// Discord takes 30 messages a minute from a webhook, and five at once.
	every = 2 * time.Second
	burst = 5
	// maxQueue bounds what waits: lines that wait leave in one message, so more than this is noise.
	maxQueue = 64
)

// Config says where to post. Without an ID and a Token nothing is posted.
type Config struct {
	ID     string       // the webhook's number
	Token  string       // its password
	Name   string       // put before each line, to tell instances apart: "roost on host-1"
	Logger *slog.Logger // where failures go, at warn; must not lead back here for that level; nil: nowhere
}

// Alerter is a running alerter. All methods may be called on any goroutine.
type Alerter struct {
	hook    *webhook      // Static.
	name    string        // Static.
	logger  *slog.Logger  // Static.
	limiter *rate.Limiter // Static. Used by run only.
	wake    chan struct{} // Holds one: something waits.
	done    chan struct{} // Closed by run when it returns.

	open    stage // Ends when Close is called: nothing is waited for any more.
	sending stage // Ends when half of Close's time has passed: gives up the request under way.
	last    stage // Ends when all of it has passed: gives up the last message.

	mu      sync.Mutex
	waiting []string // Guarded by mu. The first are those that are being posted.
	missed  int      // Guarded by mu. Lines that found no room since the last message.
	dropped uint64   // Guarded by mu. Lines that reached nobody, in all.
	closed  bool     // Guarded by mu.
}

// stage is a part of the alerter's life.
type stage struct {
	context.Context
	end context.CancelFunc
}

func newStage() stage {
	ctx, cancel := context.WithCancel(context.Background())
	return stage{ctx, cancel}
}

// New starts an alerter, or returns nil, which is one that does nothing, when there is no ID or no Token. Close ends
// its goroutine.
func New(cfg Config) *Alerter {
	if cfg.ID == "" || cfg.Token == "" {
		return nil
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	a := &Alerter{
		hook:    newWebhook(cfg.ID, cfg.Token),
		name:    cfg.Name,
		logger:  cfg.Logger,
		limiter: rate.NewLimiter(rate.Every(every), burst),
		wake:    make(chan struct{}, 1),
		done:    make(chan struct{}),
		open:    newStage(),
		sending: newStage(),
		last:    newStage(),
	}
	go a.run()
	return a
}

// Up posts that the service serves; details may be empty.
func (a *Alerter) Up(details string) { a.Send(join("service up", details)) }

// Down posts that the service leaves, and why; the reason may be empty.
func (a *Alerter) Down(reason string) { a.Send(join("service down", reason)) }

func join(what, details string) string {
	if details == "" {
		return what
	}
	return what + ": " + details
}

// Send queues a line. It never blocks: when too much waits already, the line is counted and left out, and the next
// message says so.
func (a *Alerter) Send(line string) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || len(a.waiting) >= maxQueue {
		a.missed++
		a.dropped++
		return
	}
	if a.name != "" {
		line = a.name + ": " + line
	}
	a.waiting = append(a.waiting, line)
	a.signal()
}

// signal wakes run. When there is no room, run has an earlier wake-up before it.
func (a *Alerter) signal() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// Dropped counts the lines that were not posted: too many at once, or the webhook failed.
func (a *Alerter) Dropped() uint64 {
	if a == nil {
		return 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.dropped
}

// Close posts what waits in one message, without regard to pace, and ends the alerter: later lines are counted as
// dropped. It takes no longer than timeout; a request under way when it is called gets half of that.
func (a *Alerter) Close(timeout time.Duration) error {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.open.end()
	defer time.AfterFunc(timeout/2, a.sending.end).Stop()

	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-a.done:
		return nil
	case <-timer.C:
		a.last.end()
		return errors.New("alert: the last message was not posted in time")
	}
}
