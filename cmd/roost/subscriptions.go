package main

import (
	"time"

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

// subscribeWait is how long a handshake waits until its user is subscribed. With a subscription for each user it is
// netpoll's second. With one for everybody the feed itself ends the waiting, a second after a link was lost, and this
// limit only covers the case that it does not; being longer it spares the loops a finer clock.
func (s *service) subscribeWait() time.Duration {
	if s.cfg.RedisFeed == "pattern" {
		return 2 * time.Second
	}
	return 0
}
