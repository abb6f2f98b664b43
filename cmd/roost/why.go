package main

import (
	"context"
	"fmt"
	"time"

	"roost/httpapi"
	"roost/netpoll"
	"roost/redisfeed/publish"
)

// shownConnections bounds how many of a user's connections are looked at.
const shownConnections = 20

// lookTime is how long loops get to answer: they do within a millisecond, or are in trouble.
const lookTime = 2 * time.Second

// why looks at a user, and watches what becomes of their notifications from then on.
func (s *service) why(ctx context.Context, user string) (httpapi.Why, error) {
	if err := checkUser(user); err != nil {
		return httpapi.Why{}, fmt.Errorf("%w: %w", httpapi.ErrNoSuchUser, err)
	}
	watched, redis := s.hub.Watch(user), s.feed.Status()
	conns, all := s.hub.ConnsOf(user, shownConnections)
	w := httpapi.Why{
		User: user, Channel: publish.ChannelPrefix + user, Command: "PUBLISH", Connections: all,
		Alone: s.cfg.RedisFeed != "pattern", Unheard: all > 0 && !s.feed.Subscribed(user),
		Redis: s.redisState(), RedisSince: redis.Since,
		WatchedSince: watched.Since, WatchedUntil: watched.Until, Seen: watched.Total,
	}
	if s.cfg.RedisFeed == "sharded" {
		w.Command = "SPUBLISH"
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	infos, err := s.ws.Describe(ctx, conns)
	if err != nil {
		w.Problem = err.Error()
	}
	for _, info := range infos {
		w.Open = append(w.Open, openConnection(info))
	}
	for _, n := range watched.Latest {
		w.Latest = append(w.Latest, httpapi.WhyNotification{
			At: n.At, Type: n.Type, Bytes: n.Bytes, Via: n.Via, Problem: n.Problem,
			Connections: n.Connections, Sent: n.Sent, Unacked: n.Unacknowledged, Queued: n.Queued(), Failed: n.Failed,
			TookMS: float64(n.Settled.Microseconds()) / 1000,
		})
	}
	return w, nil
}

func openConnection(info netpoll.ConnInfo) httpapi.WhyConnection {
	return httpapi.WhyConnection{
		Remote: info.Remote, Since: info.Opened,
		HeardSeconds: info.LastRead.Seconds(), StalledFor: info.Stalled.Seconds(),
		Waiting: info.Waiting, WaitingBytes: info.Bytes, UnackedBytes: info.Unacked,
	}
}
