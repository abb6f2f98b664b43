package redisfeed

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"roost/redisfeed/internal/boottime"
	"roost/redisfeed/internal/topology"
)

// target is what Run's goroutine is connected to, or trying to connect to.
type target struct {
	topology.Master
	link  *link
	asked atomic.Int64 // an instant: when sentinels, or the cluster, were last asked and named it
}

func newTarget(at topology.Master, l *link, asked boottime.Instant) *target {
	t := &target{Master: at, link: l}
	t.asked.Store(int64(asked))
	return t
}

// named is when it was last certain that this is the Redis to be connected to. Without sentinels and cluster that is now.
func (t *target) named() boottime.Instant {
	if len(t.link.cfg.Sentinels) == 0 && len(t.link.cfg.Nodes) == 0 {
		return boottime.Now()
	}
	return boottime.Instant(t.asked.Load())
}

// findMaster says where to connect to, after asking the sentinels, or the cluster, if there are any.
func (f *Feed) findMaster(ctx context.Context) (topology.Master, error) {
	switch {
	case f.cluster != nil:
		before := f.at.Addr
		if f.marks() && f.retry.failures == 0 {
			before = "" // its link was up: others may still have one
		}
		return f.cluster.Node(ctx, before, f.marks())
	case f.sentinels != nil:
		return f.sentinels.Master(ctx, f.at.Addr)
	}
	return topology.Master{Addr: f.cfg.Addr}, nil
}

// follow asks the sentinels every interval, and when one of them tells of a failover, whether the master is still the same,
// until ctx ends. A link to the one that was looks well for ever: a replica takes PUBLISH, and so its heartbeat comes back.
func (f *Feed) follow(ctx context.Context) {
	if f.sentinels == nil {
		return
	}
	f.sentinels.Follow(ctx, f.cfg.HeartbeatInterval, func(ctx context.Context) error {
		t := f.target.Load()
		if t == nil {
			return nil // the first attempt asks for itself
		}
		asked := boottime.Now()
		now, err := f.sentinels.Master(ctx, t.Addr)
		if err != nil || ctx.Err() != nil {
			return err
		}
		if now.Sure && now.Addr == t.Addr {
			t.asked.Store(int64(asked))
		}
		f.moveTo(now, t)
		return nil
	})
}

// moveTo ends t if it is a link to another master, and has the next one made without delay. An answer older than
// the one that the link was made with is ignored, and so is one about the same failover that most sentinels have not given:
// those that name the link's master may only be slower.
func (f *Feed) moveTo(now topology.Master, t *target) {
	newer := now.Epoch > t.Epoch || (now.Epoch == t.Epoch && now.Sure)
	if t.Addr == now.Addr || !newer || t != f.target.Load() {
		return
	}
	f.pool.Use(now)
	t.link.cancel(fmt.Errorf("%w: %s, and no longer %s", errMoved, now.Addr, t.Addr))
	signal(f.moved)
}

// watchCluster looks every interval, and sooner when something seems to have changed, who has which slots, until ctx ends.
func (f *Feed) watchCluster(ctx context.Context) {
	if f.cluster == nil {
		return
	}
	var soon <-chan struct{}
	if f.manager != nil && f.manager.shards != nil {
		soon = f.manager.shards.look
	}
	f.cluster.Watch(ctx, f.cfg.HeartbeatInterval, soon, f.lookedAt)
}

// lookedAt takes a view of the cluster. The shards are told; a link to a node that has left the cluster is ended: it
// would look well for ever.
func (f *Feed) lookedAt(v *topology.View) {
	if t := f.target.Load(); t != nil {
		if v.HasNode(t.Addr) {
			t.asked.Store(int64(v.Asked))
		} else {
			t.link.cancel(fmt.Errorf("%w: %s", errGone, t.Addr))
		}
	}
	if f.manager != nil && f.manager.shards != nil {
		f.manager.shards.viewChanged(v)
	}
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
