package redisfeed

import (
	"cmp"
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Sink takes the notifications and the commands. Its methods are called by one goroutine, in the order in which
// Redis sent them; while one blocks, nothing is read from Redis, and Run cannot end. The strings are the sink's to keep.
type Sink interface {
	Deliver(user, payload string)

	// Broadcast is handed what was published for everyone, and DeliverGroup what was for a group. Both may leave the
	// work to somebody else.
	Broadcast(payload string)
	DeliverGroup(group, payload string)

	// Control is handed what was published on user's control channel.
	Control(user, payload string)

	// Flush is called after each batch of calls to Deliver, by the same goroutine, before it waits for more. Deliver
	// may leave the work to it.
	Flush()
}

// Feed is a subscription to all users' notifications that mends itself.
type Feed struct {
	// Static after construction.

	cfg       Config
	sink      Sink
	publisher *Publisher
	beat      *heartbeat
	monitor   *monitor

	ran    atomic.Bool            // Run was called
	target atomic.Pointer[target] // Run's goroutine writes it, before each attempt
	moved  chan struct{}          // capacity 1: the master has moved, do not wait for the next attempt

	// Owned by Run's goroutine.

	retry retry
	at    master    // of the latest attempt; its name before the first
	again bool      // a link was up before
	woke  time.Time // when the last read returned; zero once what it brought is done

	// Owned by the heartbeat's goroutine.

	beatFailing bool
}

// New returns a feed that is subscribed to nothing until Run; its pool opens Config.MinIdleConns in the background, and
// Publish works. The error names the value in cfg that cannot be.
func New(cfg Config, sink Sink) (*Feed, error) {
	if sink == nil {
		return nil, errNoSink
	}
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	publisher, err := NewPublisher(cfg)
	if err != nil {
		return nil, err
	}
	return &Feed{
		cfg:       cfg,
		sink:      sink,
		publisher: publisher,
		beat:      newHeartbeat(cfg.HeartbeatInterval),
		monitor:   newMonitor(time.Now()),
		at:        master{addr: cmp.Or(cfg.Addr, cfg.MasterName)},
		moved:     make(chan struct{}, 1),
		retry:     retry{max: cfg.MaxAttempts, delay: cfg.RetryDelay},
	}, nil
}

// Run connects, reads and delivers until ctx ends, and then returns nil; or until Config.MaxAttempts attempts in a row
// have failed, and then returns ErrGaveUp wrapped with the last cause. When it returns, its goroutines have ended and
// the feed is closed. It can be called once.
func (f *Feed) Run(ctx context.Context) error {
	if f.ran.Swap(true) {
		return errRunBefore
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { f.beat.run(ctx, f.sendBeat) })
	wg.Go(func() { f.follow(ctx) })
	wg.Go(func() {
		<-ctx.Done()
		_ = f.publisher.Close()
	})
	err := f.runLinks(ctx)
	cancel()
	wg.Wait()
	return err
}

// Publish publishes a payload for a user, as [Publisher.Publish] does. Any goroutine, until Run returns.
func (f *Feed) Publish(ctx context.Context, user, payload string) (receivers int64, err error) {
	return f.publisher.Publish(ctx, user, payload)
}

// Status says how the feed is. Any goroutine; it never waits for Redis or the sink.
func (f *Feed) Status() Status { return f.monitor.status() }

// Close closes the connections of a feed that was never run. Run does it itself when it returns, and is not ended by
// Close. Further calls do nothing.
func (f *Feed) Close() error { return f.publisher.Close() }
