package redisfeed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"roost/redisfeed/internal/boottime"
	"roost/redisfeed/internal/redisnet"
	"roost/redisfeed/internal/resp"
	"roost/redisfeed/internal/subs"
	"roost/redisfeed/internal/topology"
	"roost/redisfeed/publish"
)

// runLinks runs one link after the other. It returns nil when ctx ends, or when another process has the link.
func (f *Feed) runLinks(ctx context.Context) error {
	if f.imported == nil {
		f.retry.begin(time.Now())
		f.linkWait.Down()
	}
	defer f.linkWait.End()
	for {
		wasUp, cause := f.runLink(ctx)
		wait, more, err := f.afterLink(ctx, wasUp, cause)
		if !more || err != nil {
			return err
		}
		if !f.pause(ctx, wait) {
			f.monitor.down(time.Now(), errStopped, 0, f.retry.outage)
			return nil
		}
	}
}

// runLink runs a link until it ends, which it always does with an error. wasUp is false when it never was confirmed.
func (f *Feed) runLink(ctx context.Context) (wasUp bool, err error) {
	in := f.newBatcher()
	l, err := f.newLink(ctx, in)
	if err != nil {
		return false, err
	}
	defer l.close()
	defer in.flush() // what came before a reply that ends the link
	if err := f.beginLink(l); err != nil {
		return l.confirmed(), err
	}
	for {
		got, err := l.receive()
		if err != nil {
			return l.confirmed(), err
		}
		switch got.Kind {
		case resp.Message:
			f.message(l, got)
		case resp.Pong: // nothing asks for one here
		default:
			if err := f.confirmation(l, got); err != nil {
				return l.confirmed(), err
			}
		}
	}
}

// newLink makes the next link, to where the master is now, or where the link leads that was handed over.
func (f *Feed) newLink(ctx context.Context, in *batcher) (*link, error) {
	asked := boottime.Now()
	var at topology.Master
	if f.imported.hasLink() {
		at, asked = f.imported.at, f.imported.asked
	} else {
		var err error
		if at, err = f.findMaster(ctx); err != nil {
			return nil, err
		}
	}
	if !f.enter() {
		return nil, errReleased
	}
	defer f.leave()
	f.at = at
	l := newLink(ctx, f.cfg, at.Addr, in)
	f.target.Store(newTarget(at, l, asked))
	f.beats.Pool().Use(at)
	return l, nil
}

// beginLink connects a link, or goes on with the one that was handed over.
func (f *Feed) beginLink(l *link) error {
	from := f.imported
	f.imported = nil
	if from.hasLink() {
		return f.takeOverLink(l, from)
	}
	return l.begin(f.channels(), f.patterns())
}

// afterLink notes that a link has ended. It returns how long to wait until the next one. more is false when there is to be
// none.
func (f *Feed) afterLink(ctx context.Context, wasUp bool, cause error) (wait time.Duration, more bool, err error) {
	ours := f.enter()
	if ours {
		defer f.leave()
	}
	f.live = nil
	if t := f.target.Load(); f.manager != nil && t != nil {
		f.manager.linkLost(t.link.lostSince())
	}
	switch {
	case !ours:
		return 0, false, nil
	case ctx.Err() != nil:
		f.monitor.down(time.Now(), errStopped, 0, f.retry.outage)
		return 0, false, nil
	}
	wait, err = f.linkEnded(wasUp, cause)
	return wait, true, err
}

// enter waits while the feed is frozen. It reports whether the links are still this process's, and only then leave has to
// follow. Run's goroutine calls it where no link's batch is under way.
func (f *Feed) enter() bool {
	f.sinkMu.Lock()
	if f.freeze.released.Load() {
		f.sinkMu.Unlock()
		return false
	}
	return true
}

func (f *Feed) leave() { f.sinkMu.Unlock() }

// channels are those that a link is subscribed to from the start.
func (f *Feed) channels() []string {
	if f.cfg.Mode == PerUser {
		// The channel of no user: whether the ACL allows such channels is known before there is a user.
		return []string{f.beat.channel, publish.AllChannel, publish.ChannelPrefix + "\x00" + f.beat.channel}
	}
	channels := []string{f.beat.channel, publish.AllChannel}
	if f.marks() {
		channels = append(channels, markerChannel)
	}
	return channels
}

// patterns are the same for patterns.
func (f *Feed) patterns() []string {
	if f.cfg.Mode == Pattern {
		return []string{publish.ChannelPrefix + "*", publish.ControlPrefix + "*", publish.GroupPrefix + "*"}
	}
	return []string{publish.ControlPrefix + "*", publish.GroupPrefix + "*"}
}

// message hands what was published to the sink, or notes a heartbeat.
func (f *Feed) message(l *link, r resp.Reply) {
	channel, payload := r.Strings()
	if user, ok := strings.CutPrefix(channel, publish.ChannelPrefix); ok {
		l.in.message()
		f.sink.Deliver(user, payload)
		return
	}
	switch channel {
	case f.beat.channel:
		if took, ok := l.proves(payload); ok {
			f.monitor.ping.Store(int64(took))
			f.monitor.proven.Store(int64(l.proven))
		}
		return
	case publish.AllChannel:
		l.in.message()
		f.sink.Broadcast(payload)
		return
	case markerChannel:
		if !l.confirmed() {
			return // what others count behind it may have come before we were subscribed to all
		}
		f.cfg.Marker(f.markers.heard(strings.Clone(payload), time.Now()))
		return
	}
	if group, ok := strings.CutPrefix(channel, publish.GroupPrefix); ok {
		l.in.message()
		f.sink.DeliverGroup(strings.Clone(group), payload) // a broadcast that waits must not keep its payload by the name
		return
	}
	// The patterns let nothing else through.
	f.sink.Control(strings.TrimPrefix(channel, publish.ControlPrefix), payload)
}

// confirmation counts Redis's answers to our subscriptions.
func (f *Feed) confirmation(l *link, r resp.Reply) error {
	again, ok := l.confirm(r)
	switch {
	case again:
		f.monitor.gap()
		f.tellGap(l.lostSince())
		f.cfg.Logger.Warn("redis confirmed a subscription again, notifications may be lost", "kind", r.Kind.String())
	case ok && l.confirmed():
		f.linkUp(l)
	case ok:
	case f.cfg.Mode == PerUser && f.manager.answered(r):
	default:
		return fmt.Errorf("%w: %s %q", errUnwanted, r.Kind, r.Channel)
	}
	return nil
}

// linkUp notes that the feed is subscribed.
func (f *Feed) linkUp(l *link) {
	now := time.Now()
	f.live = l
	f.monitor.proven.Store(int64(l.proven))
	f.markers.forget()
	gone := f.retry.connected(now)
	if f.manager != nil {
		f.manager.linkUp(l) // before anybody is told that the feed is connected: handshakes wait from then on
	}
	missed, waiters := f.linkWait.Up()
	defer subs.Tell(waiters) // last: handshakes that have waited have missed nothing, and are not told of the gap
	f.monitor.up(now, f.again)
	f.beat.soon()
	if f.again {
		f.cfg.Logger.Warn("redis feed is subscribed again, what was published meanwhile is lost",
			"addr", f.at.Addr, "gone", gone.Round(time.Millisecond), "gaps", f.monitor.status().Gaps)
		f.gapEnds(f.gap.end(f.at.Addr))
		return
	}
	f.again = true
	f.cfg.Logger.Info("redis feed is subscribed", "addr", f.at.Addr)
	if missed || f.subs != nil && f.subs.Lost() > 0 {
		f.monitor.gap()
		f.gapEnds(f.begun.Add(-f.cfg.HeartbeatTimeout))
	}
}

// gapEnds tells of a gap, or has it told when all users are subscribed again.
func (f *Feed) gapEnds(since boottime.Instant) {
	if f.cfg.Mode == PerUser {
		f.manager.tellLater(since)
		return
	}
	f.tellGap(since)
}

func (f *Feed) tellGap(since boottime.Instant) {
	if f.cfg.Gap != nil {
		f.cfg.Gap(since.Wall())
	}
}

func (f *Feed) tellUserGap(user string, since boottime.Instant) {
	if f.cfg.UserGap != nil && f.cfg.UserHeard == nil {
		f.cfg.UserGap(user, since.Wall())
	}
}

// linkEnded notes that there is no link. It returns how long to wait before the next attempt, or ErrGaveUp with the
// cause.
//
// Nobody is disconnected: clients stay while Redis is away, and are told of the gap when it is back. Only ErrGaveUp ends
// the process, and with it the connections (Config.MaxAttempts).
func (f *Feed) linkEnded(wasUp bool, cause error) (wait time.Duration, err error) {
	now := time.Now()
	if errors.Is(cause, redisnet.ErrBadReply) {
		f.monitor.badReply()
	}
	if wasUp {
		if f.cfg.Lost != nil {
			f.cfg.Lost()
		}
		f.gap.begin(f.target.Load())
		f.linkWait.Down()
		wait = f.retry.lost(now)
		f.monitor.down(now, cause, 0, f.retry.outage)
		f.cfg.Logger.Warn("redis link lost", "addr", f.at.Addr, "error", cause, "next_in", wait.Round(time.Millisecond))
		return wait, nil
	}
	ours := redisnet.LocalShortage(cause)
	wait, more := f.retry.failed(now, ours)
	f.monitor.down(now, cause, f.retry.failures, f.retry.outage)
	attempt := slog.Group("", "addr", f.at.Addr, "attempt", f.retry.failures,
		"out_for", f.retry.spent.Round(time.Millisecond), "of", limit(f.retry.patience()), "error", cause)
	if ours {
		f.cfg.Logger.Warn("redis cannot be reached for want of something that this host has too little of, which is not counted",
			attempt, "next_in", wait.Round(time.Millisecond))
		return wait, nil
	}
	if !more {
		f.cfg.Logger.Error("redis cannot be reached, giving up", attempt)
		return 0, fmt.Errorf("%w after %d attempts: %w", ErrGaveUp, f.retry.failures, cause)
	}
	f.cfg.Logger.Warn("redis cannot be reached", attempt, "next_in", wait.Round(time.Millisecond))
	return wait, nil
}

// limit is what a log line calls the longest outage.
func limit(patience time.Duration) any {
	if patience == 0 {
		return "unlimited"
	}
	return patience
}

// sendBeat publishes one heartbeat if there is a link to get it. A failure ends the link only through silence,
// but the reason is worth a line: a user who may not publish, for one.
func (f *Feed) sendBeat(ctx context.Context) {
	if f.cfg.Reserve != nil {
		f.cfg.Reserve.Refill()
	}
	if !f.Status().Connected || f.freeze.released.Load() {
		return
	}
	// No longer than until the next beat, so that one stuck connection of the pool does not end the link.
	stopped := ctx.Err
	ctx, cancel := context.WithTimeout(ctx, f.beat.interval)
	defer cancel()
	_, err := f.beats.PublishTo(ctx, f.beat.channel, stamp(boottime.Now()))
	if err != nil && stopped() != nil {
		return // the feed ends, and the connection with it
	}
	if err != nil && !f.beatFailing && !errors.Is(err, redis.ErrClosed) {
		f.cfg.Logger.Warn("redis heartbeat cannot be published", "addr", f.beats.Addr(), "error", err)
	}
	f.beatFailing = err != nil
	f.beat.starved.Store(redisnet.LocalShortage(err))
	if err == nil && f.marks() {
		f.sendMarker(ctx)
	}
}

// gap is the time without a link of the feed's own, in which what is published is lost. It is a plain value of Run's
// goroutine.
type gap struct {
	since boottime.Instant // none: there is no gap
	doubt boottime.Instant // the same, where the next link is to another Redis
	from  string           // the Redis whose link was lost first
}

// begin notes that the link to t, which was up, has ended. A gap that is not told yet goes on.
func (g *gap) begin(t *target) {
	if g.since == 0 {
		g.from = t.Addr
	}
	g.since = boottime.Earlier(g.since, t.link.lostSince())
	g.doubt = boottime.Earlier(g.doubt, t.named().Add(-t.link.cfg.HeartbeatTimeout))
}

// end returns since when something may be missing, and forgets it: there is a link to the Redis at addr. If that is another
// than before, backends may have published on it before the first was lost: ever since the sentinels, or the cluster, last
// named the first, less HeartbeatTimeout, because they do not all learn of a failover at once.
func (g *gap) end(addr string) (since boottime.Instant) {
	since = g.since
	if addr != g.from {
		since = boottime.Earlier(since, g.doubt)
	}
	*g = gap{}
	return since
}
