package redisfeed

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"roost/redisfeed/internal/boottime"
	"roost/redisfeed/internal/pool"
	"roost/redisfeed/internal/subs"
	"roost/redisfeed/internal/topology"
	"roost/redisfeed/publish"
)

// Sink takes what is published. Its methods are called by one goroutine at a time, and what is published for one user,
// on one link, in the order in which Redis sent it; while one blocks, nothing is read from Redis, and Run cannot end. The
// strings are the sink's to keep; a user shares the payload's memory.
type Sink interface {
	Deliver(user, payload string)

	// Broadcast is handed what is published for everybody, on publish.AllChannel.
	Broadcast(payload string)

	// DeliverGroup is handed what is published for the members of a group.
	DeliverGroup(group, payload string)

	// Control is handed what was published on user's control channel.
	Control(user, payload string)

	// Flush is called after each batch of calls to the others, before anything more is waited for. They may leave the
	// work to it.
	Flush()
}

// Waiter waits until its user is subscribed: see Feed.Acquire.
type Waiter = subs.Waiter

// Feed is a subscription to notifications that mends itself: to all users' in Pattern mode, and else to those of the
// users who are here, as Acquire and Release say.
type Feed struct {
	// Static after construction.

	cfg       Config
	sink      Sink
	pool      *pool.Pool          // what publishes, for the feed's caller and, but for a cluster, for heartbeats
	sentinels *topology.Sentinels // the pool's; nil without Sentinel
	publisher *publish.Publisher
	beats     *publish.Publisher // publishes heartbeats: the same but for Cluster, where they go to the node that is read from
	beat      *heartbeat
	markers   markers
	monitor   *monitor
	cluster   *topology.Cluster   // nil without Cluster
	subs      *subs.Subscriptions // nil in Pattern mode
	manager   *manager            // nil in Pattern mode
	begun     boottime.Instant
	linkWait  subs.LinkWait // any goroutine

	ran    atomic.Bool            // Run was called
	target atomic.Pointer[target] // Run's goroutine writes it, before each attempt
	moved  chan struct{}          // capacity 1: the master has moved, do not wait for the next attempt
	sinkMu sync.Mutex             // held while one link's batch is handed to the sink, and while the feed is frozen
	freeze freeze

	// Owned by Run's goroutine, which has sinkMu where it changes them. So they are Freeze's, too.

	live  *link // its own link, while that is confirmed
	retry retry
	at    topology.Master // of the latest attempt; its name before the first
	again bool            // a link was up before
	gap   gap             // that is not told yet

	imported *imported // what another process has left to this one; nil: nothing, or Run has taken it

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
	p, err := pool.New(cfg.Config)
	if err != nil {
		return nil, err
	}
	f := &Feed{
		begun:     boottime.Now(),
		cfg:       cfg,
		sink:      sink,
		pool:      p,
		sentinels: p.Sentinels(),
		publisher: publish.On(p),
		beat:      newHeartbeat(cfg.HeartbeatInterval),
		monitor:   newMonitor(time.Now()),
		at:        topology.Master{Addr: cmp.Or(cfg.Addr, cfg.MasterName, strings.Join(cfg.Nodes, ","))},
		moved:     make(chan struct{}, 1),
		retry:     newRetry(cfg),
	}
	f.beats = f.publisher
	if len(cfg.Nodes) > 0 {
		f.beats = publish.On(pool.NewNode(cfg.Config))
		f.cluster = topology.NewCluster(cfg.Config, p.Cluster())
	}
	if cfg.Mode != Pattern {
		f.subs = subs.New(cfg.UnsubscribeDelay, &f.linkWait)
		f.linkWait.GaveUp = f.subs.TellWaiters
		f.manager = newManager(f)
		if cfg.UserHeard != nil {
			f.subs.Heard = f.manager.heard
		}
	}
	return f, nil
}

// Run connects, reads and delivers until ctx ends, and then returns nil; or until Config.MaxAttempts attempts in a row
// have failed, and then returns ErrGaveUp wrapped with the last cause. When it returns, its goroutines have ended and
// the feed is closed. It can be called once. A frozen feed does not end before Unfreeze or Commit.
func (f *Feed) Run(ctx context.Context) error {
	if f.ran.Swap(true) {
		return errRunBefore
	}
	ctx, cancel := context.WithCancel(ctx)
	f.begin(cancel)
	var wg sync.WaitGroup
	wg.Go(func() { f.beat.run(ctx, f.sendBeat) })
	wg.Go(func() { f.follow(ctx) })
	wg.Go(func() { f.watchCluster(ctx) })
	if f.manager != nil {
		wg.Go(func() { f.manager.run(ctx) })
	}
	wg.Go(func() {
		<-ctx.Done()
		_ = f.Close()
	})
	err := f.runLinks(ctx)
	cancel()
	wg.Wait()
	if f.cluster != nil {
		f.cluster.Wait()
	}
	return err
}

// Publish publishes a payload for a user, as [Publisher.Publish] does. Any goroutine, until Run returns.
func (f *Feed) Publish(ctx context.Context, user, payload string) (receivers int64, err error) {
	return f.publisher.Publish(ctx, user, payload)
}

// PublishBatch publishes messages in order, as [publish.Publisher.PublishBatch] does. Any goroutine, until Run returns.
func (f *Feed) PublishBatch(ctx context.Context, batch []publish.Message) (receivers []int64, err error) {
	return f.publisher.PublishBatch(ctx, batch)
}

// PublishIdempotent publishes messages once, as [publish.Publisher.PublishIdempotent] does. Any goroutine, until Run returns.
func (f *Feed) PublishIdempotent(ctx context.Context, key publish.Key, batch []publish.Message) (publish.Idempotent, error) {
	return f.publisher.PublishIdempotent(ctx, key, batch)
}

// Acquire counts one more connection, or handshake, of user. It reports whether the user is subscribed, so that what is
// published from now on arrives, or that waiting is of no use, because Redis has been away for more than a second. Otherwise
// w is told when either is true. Connections that are let in before that are told of a gap when it is over (Config.Gap,
// Config.UserGap). Each Acquire is followed by one Release. In Pattern mode all users are subscribed while there is a link.
// Any goroutine; it waits for nothing.
func (f *Feed) Acquire(user string, w Waiter) bool {
	if f.subs == nil {
		return f.linkWait.Acquire(w)
	}
	return f.subs.Acquire(user, w)
}

// Release takes an Acquire back. The user stays subscribed for Config.UnsubscribeDelay after the last one. Any goroutine; it
// waits for nothing.
func (f *Feed) Release(user string) {
	if f.subs != nil {
		f.subs.Release(user, time.Now())
	}
}

// Subscribed reports whether Redis has confirmed that what is published for user arrives here. Any goroutine.
func (f *Feed) Subscribed(user string) bool {
	if f.subs == nil {
		return f.Status().Connected
	}
	return f.subs.Subscribed(user)
}

// Status says how the feed is. Any goroutine; it never waits for Redis or the sink.
func (f *Feed) Status() Status {
	s := f.monitor.status()
	if f.subs != nil {
		s.Users = f.subs.Counts()
	}
	return s
}

// Close closes the connections of a feed that was never run. Run does it itself when it returns, and is not ended by
// Close. Further calls do nothing.
func (f *Feed) Close() error {
	if f.beats != f.publisher {
		return errors.Join(f.publisher.Close(), f.beats.Close())
	}
	return f.publisher.Close()
}

// newBatcher makes the way to the sink for a new link.
func (f *Feed) newBatcher() *batcher {
	return &batcher{excused: f.beat.starved.Load, sink: f.sink, arrival: f.cfg.Arrived, sinkMu: &f.sinkMu, freeze: &f.freeze, monitor: f.monitor}
}
