package main

import (
	"time"

	"roost/netpoll"
	"roost/redisfeed"
)

// audience tells the feed whose connections there are. It implements netpoll.Audience.
type audience struct{ feed *redisfeed.Feed }

// Join implements netpoll.Audience.
func (a audience) Join(user string, waiter netpoll.Waiter) bool { return a.feed.Join(user, waiter) }

// Leave implements netpoll.Audience.
func (a audience) Leave(user string) { a.feed.Leave(user) }

// audienceWait is how long a handshake waits to be heard. With a subscription for each user it is netpoll's second. With
// one for everybody the feed itself ends the waiting, a second after a link was lost, and this is only for the case that
// it does not; being longer it spares the loops a finer clock.
func (s *service) audienceWait() time.Duration {
	if s.cfg.RedisFeed == "pattern" {
		return 2 * time.Second
	}
	return 0
}
