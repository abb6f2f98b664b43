package redisfeed

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// target is what Run's goroutine is connected to, or trying to connect to.
type target struct {
	master
	link  *link
	asked atomic.Int64 // an instant: when those were asked last who named it, sentinels or the cluster
}

func newTarget(at master, l *link, asked instant) *target {
	t := &target{master: at, link: l}
	t.asked.Store(int64(asked))
	return t
}

// named is when it was last certain that this is the one to be connected to. Where nobody is asked that is now.
func (t *target) named() instant {
	if len(t.link.cfg.Sentinels) == 0 && len(t.link.cfg.Nodes) == 0 {
		return instantNow()
	}
	return instant(t.asked.Load())
}

// findMaster says where to connect to, after asking the sentinels, or the cluster, if there are any.
func (f *Feed) findMaster(ctx context.Context) (master, error) {
	switch {
	case f.cluster != nil:
		return f.cluster.node(ctx, f.at.addr)
	case f.publisher.sentinels != nil:
		return f.publisher.sentinels.master(ctx, f.at.addr)
	}
	return master{addr: f.cfg.Addr}, nil
}

// follow asks the sentinels every interval, and when one of them tells of a failover, whether the master is still the same,
// until ctx ends. A link to the one that was looks well for ever: a replica takes PUBLISH, and so its heartbeat comes back.
func (f *Feed) follow(ctx context.Context) {
	if f.publisher.sentinels == nil {
		return
	}
	told := make(chan struct{}, 1)
	var watching sync.WaitGroup
	defer watching.Wait()
	watching.Go(func() {
		f.publisher.sentinels.watch(ctx, f.cfg.HeartbeatInterval, func() { signal(told) }, f.sentinelIsMute)
	})
	tick := time.NewTicker(f.cfg.HeartbeatInterval)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-told:
		}
		t := f.target.Load()
		if t == nil {
			continue // the first attempt asks for itself
		}
		asked := instantNow()
		now, err := f.publisher.sentinels.master(ctx, t.addr)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			if now.sure && now.addr == t.addr {
				t.asked.Store(int64(asked))
			}
			f.moveTo(now, t)
		} else if !failing {
			f.cfg.Logger.Warn("redis sentinels do not say where the master is, a failover would not be noticed", "error", err)
		}
		failing = err != nil
	}
}

// moveTo ends t if it is a link to another master, and has the next one made without delay. An answer that is older than
// the one the link was made with counts for nothing.
func (f *Feed) moveTo(now master, t *target) {
	if t.addr == now.addr || now.epoch < t.epoch || t != f.target.Load() {
		return
	}
	f.publisher.use(now)
	t.link.cancel(fmt.Errorf("%w: %s, and no longer %s", errMoved, now.addr, t.addr))
	signal(f.moved)
}

// sentinelIsMute says that a sentinel refuses to tell of failovers.
func (f *Feed) sentinelIsMute(from string, err error) {
	f.cfg.Logger.Warn("a redis sentinel does not tell of failovers, which are noticed when it is asked",
		"sentinel", from, "every", f.cfg.HeartbeatInterval, "its user needs", switchNeeds, "error", err)
}

// signal fills a channel of capacity 1, unless it is full.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// pause waits for a while, or until the master has moved. It returns false if ctx ended first.
func (f *Feed) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	case <-f.moved:
	}
	return ctx.Err() == nil
}
