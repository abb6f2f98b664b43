// Package bystanders is clients that have nothing to do with what is going on: each is a user of its own and gets
// notifications at a steady rate. The measurement is how late they come, and whether all do.
package bystanders

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"roost/bench/roostbench/internal/dialect"
	"roost/bench/roostbench/internal/note"
	"roost/bench/roostbench/internal/redispub"
	"roost/bench/roostbench/internal/swarm"
)

// Config says who they are.
type Config struct {
	Server      netip.AddrPort
	Path        string // with what the dialect's query has
	Secret      []byte
	Redis       netip.AddrPort
	Dialect     dialect.Dialect
	Users       int // from number 0 on
	Rate        int // notifications a second, of all together
	FirstSource int // see swarm.Config
	Sources     int
	Asides      bool // as swarm.Config has it
}

const (
	pad     = 100 // bytes of content of a notification
	longest = 30 * time.Minute

	openLimit = time.Minute // for connecting all of them
)

// Bystanders are connected, and get notifications until Stop. One goroutine uses them.
type Bystanders struct {
	swarm     *swarm.Swarm
	publisher *redispub.Publisher
	clock     note.Clock
	cancel    context.CancelFunc
	done      chan error // what became of publishing
}

// Start connects them and begins to publish, for half an hour at most.
func Start(ctx context.Context, cfg Config, clock note.Clock) (*Bystanders, error) {
	s, err := swarm.New(swarm.Config{
		Server: cfg.Server, Path: cfg.Path, Secret: cfg.Secret, Dialect: cfg.Dialect, FirstSource: cfg.FirstSource, Sources: cfg.Sources, Asides: cfg.Asides,
	}, clock)
	if err != nil {
		return nil, err
	}
	b := &Bystanders{swarm: s, clock: clock, done: make(chan error, 1)}
	b.publisher, err = redispub.New(redispub.Config{
		Redis: cfg.Redis, Rate: cfg.Rate, Pad: pad, Pattern: redispub.Pattern{Users: cfg.Users}, Dialect: cfg.Dialect,
	}, clock)
	if err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	opening, done := context.WithTimeout(ctx, openLimit)
	err = b.publisher.AwaitSubscriber(opening)
	if err == nil {
		err = s.Open(opening, 0, cfg.Users, swarm.Pace{})
	}
	done()
	if now := s.Stats(); err == nil && now.Open != cfg.Users {
		err = fmt.Errorf("%d of %d bystanders are connected: %v", now.Open, cfg.Users, s.Problems())
	}
	if err != nil {
		return nil, errors.Join(err, s.Stop(), b.publisher.Close())
	}
	ctx, b.cancel = context.WithCancel(ctx)
	go func() {
		_, err := b.publisher.RunCount(ctx, int(longest.Seconds())*cfg.Rate)
		b.done <- err
	}()
	return b, nil
}

// Measure starts measuring latencies over.
func (b *Bystanders) Measure() { b.swarm.RecordFrom(b.clock.Now()) }

// P99 is the latency of what was published since Measure and has come, in ms.
func (b *Bystanders) P99() float64 { return float64(b.swarm.Latencies().ValueAtQuantile(99)) / 1e6 }

// Received is how many notifications have come so far.
func (b *Bystanders) Received() int { return b.swarm.Stats().Received }

// Lost is how many connections the server has ended so far.
func (b *Bystanders) Lost() int { return b.swarm.Stats().Lost }

// patience is how long nothing comes before what is missing counts as lost.
const patience = 20 * time.Second

// Outcome is how they fared in all.
type Outcome struct {
	Missing  int            // notifications
	Lost     int            // connections
	Problems map[string]int // why
}

// Stop ends publishing, waits for what is on its way, and ends the connections.
func (b *Bystanders) Stop() (Outcome, error) {
	b.cancel()
	err := <-b.done
	last, since := -1, time.Now()
	for time.Since(since) < patience {
		missing := b.swarm.Missing(b.publisher.Published)
		if missing == 0 {
			break
		}
		if missing != last {
			last, since = missing, time.Now()
		}
		time.Sleep(5 * time.Millisecond)
	}
	o := Outcome{Missing: b.swarm.Missing(b.publisher.Published), Lost: b.Lost(), Problems: b.swarm.Problems()}
	return o, errors.Join(err, b.publisher.Close(), b.swarm.Stop())
}
