package main

import (
	"roost/netpoll"
	"roost/redisfeed"
)

// audience tells the feed whose connections there are. It implements netpoll.Audience.
type audience struct{ feed *redisfeed.Feed }

// Join implements netpoll.Audience.
func (a audience) Join(user string, waiter netpoll.Waiter) bool { return a.feed.Join(user, waiter) }

// Leave implements netpoll.Audience.
func (a audience) Leave(user string) { a.feed.Leave(user) }

// audience is nil where the feed hears everybody.
func (s *service) audience() netpoll.Audience {
	if s.cfg.RedisFeed == "pattern" {
		return nil
	}
	return audience{s.feed}
}
