package app

import (
	"context"
	"errors"
	"time"

	"roost/internal/pause"
	"roost/netpoll"
	"roost/redisfeed"
)

// subscriptions implements netpoll.Subscriptions with the feed.
type subscriptions struct{ feed *redisfeed.Feed }

// Acquire implements netpoll.Subscriptions.
func (s subscriptions) Acquire(user string, waiter netpoll.Waiter) bool {
	return s.feed.Acquire(user, waiter)
}

// Release implements netpoll.Subscriptions.
func (s subscriptions) Release(user string) { s.feed.Release(user) }

// subscribeWait is how long a handshake waits until its user is subscribed. With a subscription for each user that is
// netpoll's default, a second. With one subscription for everybody the feed ends the wait itself, a second after a link was
// lost; this longer limit is only a safeguard, and needs no finer ticks of the loops' wheels.
func (s *Service) subscribeWait() time.Duration {
	if s.cfg.RedisFeed == "pattern" {
		return 2 * time.Second
	}
	return 0
}

// tellGap tells all clients of a gap. The feed calls it once it is connected again. Where clients can resume each is told
// before it gets anything that was published later, or its position would step over the gap.
func (s *Service) tellGap(since time.Time) {
	if s.hub.Resumes() {
		s.hub.TellLost(since)
		return
	}
	s.ws.NotifyGap(since)
}

// tellUserGap is tellGap for one user's connections.
func (s *Service) tellUserGap(user string, since time.Time) { s.ws.NotifyGapTo(user, since) }

// errNoFeed fails an upgrade: the new process would serve clients who get nothing.
var errNoFeed = errors.New("no link to Redis in time to take over")

// waitForFeed waits, in a process that takes over, until the feed is connected: as long as the old process serves, no client
// has to go without notifications. One that has taken over the connections has the feed too, as it was: Redis may be away.
func (s *Service) waitForFeed(ctx context.Context) error {
	if !s.sockets.takingOver() || s.took.from != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, upgradeLimit/2)
	defer cancel()
	for !s.feed.Status().Connected {
		if !pause.For(ctx, 5*time.Millisecond) {
			return errNoFeed
		}
	}
	return nil
}
