package redisfeed

import (
	"context"
	"fmt"
	"time"
)

// watchCluster looks every interval, and sooner when something seems to have changed, who has which slots, until ctx
// ends. The shards are told; a link to a node that is none any more is ended: it would look well for ever.
func (f *Feed) watchCluster(ctx context.Context) {
	if f.cluster == nil {
		return
	}
	var soon <-chan struct{}
	if f.router != nil && f.router.shards != nil {
		soon = f.router.shards.look
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	var last *view
	var looked time.Time
	failing, pause := false, lookAgain
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-soon:
			if !sleep(ctx, pause-time.Since(looked)) {
				return
			}
		}
		looked = time.Now()
		v, err := f.cluster.look(ctx)
		if ctx.Err() != nil {
			return
		}
		switch {
		case err != nil && !failing:
			f.cfg.Logger.Warn("redis cluster does not say who has which slots", "error", err)
		case err == nil:
			f.lookedAt(v)
		}
		if failing = err != nil; failing || v.same(last) {
			pause = min(2*pause, f.cfg.HeartbeatInterval) // whoever asks has to wait longer each time
		} else {
			last, pause = v, lookAgain
		}
		timer.Reset(f.cfg.HeartbeatInterval)
	}
}

// lookedAt takes a view of the cluster.
func (f *Feed) lookedAt(v *view) {
	if t := f.target.Load(); t != nil {
		if v.hasNode(t.addr) {
			t.asked.Store(int64(v.asked))
		} else {
			t.link.cancel(fmt.Errorf("%w: %s", errGone, t.addr))
		}
	}
	if f.router != nil && f.router.shards != nil {
		f.router.shards.seen(v)
	}
}

// sleep waits, and reports false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
