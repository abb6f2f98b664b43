package webhook

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"roost/internal/loglimit"
)

// Config is what a Sender needs. All of it has to be set, but for Authorities and Logger.
type Config struct {
	URL         string         // of the endpoint; see CheckURL
	Secrets     []string       // see CheckSecrets
	Authorities *x509.CertPool // that may sign the endpoint's certificate; nil: those that the system trusts
	Timeout     time.Duration  // of a request, with its response
	RetryFor    time.Duration  // from the first attempt of a request to the last
	QueueBytes  int            // that may wait
	UserAgent   string
	Logger      *slog.Logger // nil: nowhere
}

// Sender sends events. Make it with New; its methods may be called on any goroutine.
type Sender struct {
	// Static after construction.

	cfg    Config
	client *http.Client
	log    *slog.Logger
	meter  meter

	keys atomic.Pointer[[][]byte] // replaced whole

	wake     chan struct{} // holds one: something waits
	hold     gate          // closed: nothing is sent before it is open
	last     gate          // open: nothing more comes
	pause    gate          // open: no request begins any more
	done     chan struct{} // closed when Run has returned
	cut      context.Context
	cutShort context.CancelFunc // gives up the request under way

	mu       sync.Mutex
	queue    queue    // guarded by mu, as the next
	imported imported // until Start

	full, refused, failing *loglimit.Limit // of log lines
}

// gate is shut until it is opened, once.
type gate struct {
	opened chan struct{}
	once   *sync.Once
}

func newGate() gate { return gate{make(chan struct{}), new(sync.Once)} }

func (g gate) open() { g.once.Do(func() { close(g.opened) }) }

func (g gate) isOpen() bool {
	select {
	case <-g.opened:
		return true
	default:
		return false
	}
}

// New returns a Sender. It opens no connection.
func New(cfg Config) (*Sender, error) {
	if err := CheckURL(cfg.URL); err != nil {
		return nil, fmt.Errorf("webhook: the address is %w", err)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Sender{
		cfg: cfg, client: newClient(cfg.Timeout, cfg.Authorities), log: cfg.Logger, meter: newMeter(),
		wake: make(chan struct{}, 1), hold: newGate(), last: newGate(), pause: newGate(), done: make(chan struct{}),
		queue: queue{limit: cfg.QueueBytes},
		full:  loglimit.New(time.Minute, 1), refused: loglimit.New(time.Minute, 1), failing: loglimit.New(time.Minute, 2),
	}
	s.cut, s.cutShort = context.WithCancel(context.Background())
	if err := s.SetSecrets(cfg.Secrets); err != nil {
		return nil, err
	}
	return s, nil
}

// SetSecrets has what is sent from now on signed with other secrets. On an error nothing changes.
func (s *Sender) SetSecrets(texts []string) error {
	keys, err := parseSecrets(texts)
	if err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	s.keys.Store(&keys)
	return nil
}

// Push has events sent, after all before them. It waits for nothing: where too much waits the oldest events are dropped.
func (s *Sender) Push(events []Event) {
	encoded := make([][]byte, len(events))
	for i, event := range events {
		encoded[i] = event.encode()
	}
	dropped := 0
	s.mu.Lock()
	for _, event := range encoded {
		dropped += s.queue.push(event)
	}
	s.mu.Unlock()
	s.signal()
	s.tellFull(dropped)
}

// Pushed is how many events Push has been given: a place in their order.
func (s *Sender) Pushed() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queue.pushed
}

// Settled is the place, of those that Pushed returns, up to which the endpoint has every event, or has it lost and counted. What was
// imported is before place 0. Events that Close drops are never settled.
func (s *Sender) Settled() int64 {
	if !s.hold.isOpen() {
		return math.MinInt64 // what was imported is not complete
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queue.settled()
}

func (s *Sender) signal() {
	select {
	case s.wake <- struct{}{}:
	default: // Run has not taken the last one yet
	}
}

// tellFull counts events that were dropped for want of room.
func (s *Sender) tellFull(dropped int) {
	if dropped == 0 {
		return
	}
	s.meter.count(FateQueueFull, dropped)
	if leftOut, ok := s.full.Allow(); ok {
		s.log.Warn("webhook events are dropped, the oldest first: too many wait for the endpoint",
			"dropped", dropped, "queue_bytes", s.cfg.QueueBytes, "lines_left_out", leftOut)
	}
}

// Run sends until Close or Freeze, once Start has been called. It can be called once.
func (s *Sender) Run() {
	defer close(s.done)
	defer s.client.CloseIdleConnections()
	select {
	case <-s.hold.opened:
	case <-s.pause.opened:
	}
	for !s.pause.isOpen() {
		b := s.await()
		if b == nil {
			return
		}
		if fate := s.deliver(b); fate != "" {
			s.meter.count(fate, b.events)
			s.mu.Lock()
			s.queue.done()
			s.mu.Unlock()
		}
	}
}

// await returns the next batch; nil if there are no more, or none is to be sent.
func (s *Sender) await() *batch {
	for !s.pause.isOpen() {
		complete := s.last.isOpen()
		s.mu.Lock()
		b := s.queue.next()
		s.mu.Unlock()
		if b != nil || complete {
			return b
		}
		select {
		case <-s.wake:
		case <-s.last.opened:
		case <-s.pause.opened:
		}
	}
	return nil
}

// deliver sends a batch until it is taken, refused, or has been tried for long enough. Without a fate nothing more is sent.
func (s *Sender) deliver(b *batch) Fate {
	if b.began.IsZero() {
		b.began = time.Now()
	}
	for failures := 1; ; failures++ {
		a := s.post(s.cut, b)
		if a.result != ResultOK && s.cut.Err() != nil {
			return ""
		}
		s.note(a)
		switch {
		case a.result == ResultOK:
			return FateSent
		case !a.result.passing():
			s.tellRefused("webhook events are lost: the endpoint does not take them", a, b)
			return FateRefused
		}
		left := s.cfg.RetryFor - time.Since(b.began)
		if left <= 0 {
			s.tellRefused("webhook events are lost: the endpoint has failed for too long", a, b)
			return FateGaveUp
		}
		timer := time.NewTimer(min(left, backoff(failures, a.retryAfter)))
		select {
		case <-timer.C:
		case <-s.pause.opened:
			timer.Stop()
			return ""
		case <-s.cut.Done():
			timer.Stop()
			return ""
		}
	}
}

// note takes notice of an answer, and says so in the log where it is another than before.
func (s *Sender) note(a answer) {
	now := time.Now()
	failing, changed := s.meter.answered(a.result, now)
	if !changed {
		return
	}
	leftOut, ok := s.failing.Allow()
	switch {
	case !ok:
	case a.result == ResultOK:
		s.log.Info("the webhook works again", "after", failing.Round(time.Millisecond).String(), "lines_left_out", leftOut)
	case a.result.passing():
		s.log.Warn("the webhook fails, and is tried again", "error", a.why, "lines_left_out", leftOut)
	}
}

func (s *Sender) tellRefused(what string, a answer, b *batch) {
	if leftOut, ok := s.refused.Allow(); ok {
		s.log.Warn(what, "error", a.why, "events", b.events, "webhook_id", b.id, "lines_left_out", leftOut)
	}
}

// Close sends what waits, until ctx ends; what is left is dropped, counted and logged. Nobody may call Push any more. It returns
// when Run has, at the end of ctx at the latest. After Freeze it sends nothing, and only drops what is left.
func (s *Sender) Close(ctx context.Context) {
	s.Start()
	s.last.open()
	select {
	case <-s.done:
	case <-ctx.Done():
		s.pause.open()
		s.cutShort()
		<-s.done
	}
	if left := s.discard(); left > 0 {
		s.log.Warn("webhook events are lost: the endpoint did not take them before the end", "events", left)
	}
}

// discard drops everything that waits.
func (s *Sender) discard() (events int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	events = s.queue.len()
	s.queue = queue{limit: s.queue.limit, pushed: s.queue.settled()}
	s.meter.count(FateShutdown, events)
	return events
}
