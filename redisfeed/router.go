package redisfeed

import (
	"context"
	"strings"
	"sync"
	"time"

	"roost/redisfeed/internal/boottime"
	"roost/redisfeed/internal/resp"
	"roost/redisfeed/publish"
)

// router has users subscribed to who are unheard, each on the link that hears them, and unsubscribed who have left. The
// links are the feed's only one, or, for Sharded, one to each node of the cluster.
type router struct {
	feed     *Feed
	audience *audience
	shards   *shards // nil unless Sharded

	mu   sync.Mutex
	main *subscriber      // guarded by mu: that of the feed's own link, PerUser and while that is up
	stop func()           // guarded by mu: ends main, and waits for that
	gap  boottime.Instant // guarded by mu: since when there is a gap that is told once everybody is heard; 0: none
	back time.Time        // guarded by mu: since when there has been a link again
}

func newRouter(f *Feed) *router {
	r := &router{feed: f, audience: f.audience}
	if f.cfg.Mode == Sharded {
		r.shards = newShards(f)
	}
	return r
}

// run routes until ctx ends.
func (r *router) run(ctx context.Context) {
	if r.shards != nil {
		defer r.shards.close()
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	var users []string
	for {
		if r.shards != nil {
			r.shards.tend(ctx)
		}
		users = r.askAll(ctx, users)
		r.partAll()
		r.tellRestored()
		timer.Reset(r.pause())
		select {
		case <-ctx.Done():
			return
		case <-r.audience.work:
		case <-timer.C:
		}
	}
}

// pause is how long there is nothing to do unless somebody says so.
func (r *router) pause() time.Duration {
	pause := time.Hour
	if r.audience.left.Load() > 0 {
		pause = min(max(r.audience.delay/8, minStay), time.Second)
	}
	if r.shards != nil {
		pause = min(pause, r.shards.pause())
	}
	return pause
}

// askAll has everybody subscribed to who is unheard. It returns its room for users, for the next time.
func (r *router) askAll(ctx context.Context, room []string) []string {
	for {
		users, ok := r.askSome(ctx, room[:0])
		if !ok {
			clear(room[:cap(room)]) // of users who are gone nothing stays
			return room
		}
		room = users
	}
}

// askSome takes a batch of users from the queue and has them subscribed to. It is false when there are none, or no link.
func (r *router) askSome(ctx context.Context, room []string) (users []string, ok bool) {
	r.mu.Lock() // the link stays until they are its
	defer r.mu.Unlock()
	if r.main == nil && r.shards == nil {
		return nil, false
	}
	if users = r.audience.next(room, subscribeBatch); len(users) == 0 {
		return nil, false
	}
	if r.shards != nil {
		r.shards.ask(ctx, users)
		return users, true
	}
	orders := make([]order, 0, len(users))
	for _, user := range users {
		if r.audience.ask(user, r.main.id) {
			orders = append(orders, order{user: user})
		}
	}
	r.main.add(orders...)
	return users, true
}

// partAll has everybody unsubscribed whose time is over.
func (r *router) partAll() {
	farewells := r.audience.expire(nil, time.Now())
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range farewells {
		switch {
		case r.shards != nil:
			r.shards.part(f)
		case r.main != nil: // else the end of the link ends the subscription
			r.main.add(order{f.user, true})
		}
	}
}

// mainUp is called when the feed's link is up.
func (r *router) mainUp(l *link) {
	if r.shards == nil {
		sub := newSubscriber(l, 0, PerUser)
		ctx, cancel := context.WithCancel(l.ctx)
		var wg sync.WaitGroup
		wg.Go(func() { sub.run(ctx) })
		r.mu.Lock()
		r.main, r.stop = sub, func() { cancel(); wg.Wait() }
		r.mu.Unlock()
	}
	r.audience.notify()
}

// mainGone is called when that link has ended, or will never be up. Since is since when what was published may be lost.
func (r *router) mainGone(since boottime.Instant) {
	if r.shards != nil {
		return
	}
	r.mu.Lock()
	main, stop := r.main, r.stop
	r.main, r.stop = nil, nil
	r.mu.Unlock()
	if main == nil {
		return
	}
	main.link.cancel(errSpent) // a write that waits has to end
	stop()
	r.audience.loseLink(main.id, since, false) // linkWait lets go who waits for too long
}

// answered takes Redis's answer about a user's channel on the feed's own link, and reports whether it was asked for. The
// link's reader calls it.
func (r *router) answered(reply resp.Reply) bool {
	r.mu.Lock()
	sub := r.main
	r.mu.Unlock()
	user, ok := strings.CutPrefix(string(reply.Channel), publish.ChannelPrefix)
	if !ok || sub == nil {
		return false
	}
	o, ok := sub.answered()
	if !ok || o != (order{user, reply.Kind == resp.Unsubscribe}) {
		return false
	}
	if o.end {
		r.audience.ended(user, sub.id)
	} else if since := r.audience.confirm(user, sub.id); since != 0 && !r.tellRestored() {
		r.feed.tellUserGap(user, since)
	}
	return true
}

// restoring has a gap told when everybody is heard who was not.
func (r *router) restoring(since boottime.Instant) {
	r.mu.Lock()
	if r.gap == 0 {
		r.back = time.Now()
	}
	r.gap = boottime.Earlier(r.gap, since)
	r.mu.Unlock()
	r.audience.notify()
}

// tellRestored tells of a gap that is over, or leaves it to a later call. It is false if there is none.
func (r *router) tellRestored() bool {
	r.mu.Lock()
	since, back := r.gap, r.back
	if r.main == nil || since == 0 || r.audience.lost.count() > 0 {
		r.mu.Unlock()
		return since != 0
	}
	r.gap = 0
	r.mu.Unlock()
	r.feed.cfg.Logger.Info("redis feed hears all users again", "users", r.audience.sizes().Heard,
		"after", time.Since(back).Round(time.Millisecond))
	r.feed.tellGap(since)
	return true
}
