package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"roost/cmd/roost/internal/version"
	"roost/docs"
	"roost/httpapi"
	"roost/internal/names"
	"roost/netpoll"
	"roost/redisfeed/publish"
)

// httpConfig is the admin server's configuration: functions that read the other packages' state.
func (s *Service) httpConfig() httpapi.Config {
	return httpapi.Config{
		Addr: s.cfg.HTTPAddr(), Version: version.Number(), Revision: version.Revision(), Started: s.started,
		Stats:     s.stats,
		Counters:  netpoll.Metrics(),
		Counts:    func() (connections, users int) { return s.hub.Connections(), s.hub.Users() },
		Redis:     s.redisState,
		TokenKeys: s.tokenKeysMissing,
		Draining:  s.draining.Load,
		Probe:     s.selfCheck.run,
		Why:       s.why,
		Variables: s.variables,
		Upgrade:   s.upgradeState,
		OpenAPI:   docs.OpenAPI,
		Token:     s.cfg.HTTPToken,
		TLS:       s.certificates.http.config(),
		Console:   s.cfg.HTTPConsole,
		Docs:      docs.Files,
		Limits:    s.limits,

		Publishing: &httpapi.Publishing{
			Check: s.checkPublication, Publish: s.publish,
			Keys: func() bool { return s.idempotencyTTL() > 0 },
		},

		HealthStatusOnly: s.cfg.WSHealthDetail == "status",

		PProf:   s.cfg.HTTPPProf,
		Reserve: s.spare.admin,
		Logger:  s.log,
	}
}

func (s *Service) redisState() httpapi.RedisState {
	status := s.feed.Status()
	return httpapi.RedisState{
		Connected: status.Connected, Ping: status.Ping, Err: status.Err, Since: status.Since,
		Mending: !status.Outage.IsZero() && time.Since(status.Outage) < s.cfg.RedisHealthGrace,
	}
}

// limits says how much of each limit is used, for the console.
func (s *Service) limits(stats httpapi.Stats) []httpapi.Limit {
	now := s.current.Load()
	connections := "WS_MAX_CONNECTIONS"
	if now.budget.Connections < now.cfg.WSMaxConnections {
		connections = "the limit on open files (ulimit -n)"
	}
	all := []httpapi.Limit{
		{Name: "Connections", Variable: connections, Used: int64(stats.Connections), Max: int64(now.budget.Connections), Help: "RoostNearlyFull"},
		{Name: "Client sockets, in every state", Variable: "follows from the connections and ulimit -n",
			Used: int64(stats.Sockets), Max: int64(now.budget.Sockets), Help: "RoostRefusesForWantOfRoom"},
		{Name: "Waiting for clients that take nothing", Variable: "WS_MAX_QUEUED_BYTES", Unit: "bytes",
			Used: int64(stats.QueuedBytes), Max: int64(now.cfg.WSMaxQueuedBytes), Help: "RoostQueuesFull"},
		{Name: "Waiting for everyone and groups", Variable: "WS_MAX_BROADCAST_BYTES", Unit: "bytes",
			Used: int64(stats.BroadcastBytes), Max: int64(now.cfg.WSMaxBroadcastBytes), Help: "RoostBroadcastsDropped"},
		{Name: "Kept for clients that are not let in yet", Variable: "WS_MAX_PENDING_BYTES", Unit: "bytes",
			Used: stats.Counter("roost_pending_bytes"), Max: int64(now.cfg.WSMaxPendingBytes), Help: "RoostRefusesForWantOfRoom"},
	}
	if stats.ResumeWindowWanted > 0 {
		all = append(all, httpapi.Limit{Name: "Published of late, for clients that come back", Variable: "WS_RESUME_BYTES", Unit: "bytes",
			Used: int64(stats.ResumeBytes), Max: int64(stats.ResumeRoom), Help: "RoostResumeShort", Cycle: true})
	}
	return all
}

// variables is httpapi's Config.Variables: what this server runs with, and where each value is from.
func (s *Service) variables() []httpapi.Variable {
	now := s.current.Load()
	waiting := make(map[string]bool)
	for _, change := range now.cfg.Changes(now.read) {
		waiting[change.Name] = true
	}
	var all []httpapi.Variable
	for _, row := range now.cfg.Describe() {
		all = append(all, httpapi.Variable{
			Name: row.Name, Value: row.Current, Default: row.Default, From: now.source.From(row.Name, row.Set),
			Reload: row.Reload, NeedsRestart: waiting[row.Name],
		})
	}
	return all
}

// shownConnections is how many of a user's connections are described at most.
const shownConnections = 20

// lookTime is how long loops have to describe connections. A healthy loop answers within a millisecond.
const lookTime = 2 * time.Second

// why describes a user's connections, and traces the user's notifications from now on.
func (s *Service) why(ctx context.Context, user string) (httpapi.Why, error) {
	if !names.ValidUser(user) {
		return httpapi.Why{}, fmt.Errorf("%w: user %q: a user id has 1 to %d bytes of UTF-8, without control characters", httpapi.ErrNoSuchUser, user, names.MaxUser)
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
			At: n.At, Type: n.Type, Bytes: n.Bytes, Via: n.Via, Replayed: n.Replayed, Problem: n.Problem,
			Connections: n.Connections, Sent: n.Sent, Unacked: n.Unacknowledged, Queued: n.Queued(), Failed: n.Failed, Traceparent: n.Traceparent,
			TookMS: float64(n.Took.Microseconds()) / 1000,
		})
	}
	return w, nil
}

// transport names what a connection is, as httpapi.WhyConnection does.
func transport(info netpoll.ConnInfo) string {
	if info.Stream {
		return "sse"
	}
	return ""
}

func openConnection(info netpoll.ConnInfo) httpapi.WhyConnection {
	c := httpapi.WhyConnection{
		Remote: info.Remote, Transport: transport(info), TLS: info.TLS, Since: info.Opened,
		HeardSeconds: info.LastRead.Seconds(), StalledFor: info.Stalled.Seconds(),
		Waiting: info.Waiting, WaitingBytes: info.Bytes, UnackedBytes: info.Unacked, ID: info.ID,
	}
	if !info.Expires.IsZero() {
		c.Expires = &info.Expires
	}
	for _, m := range info.Groups {
		c.Groups = append(c.Groups, m.Group)
		if m.Joined {
			c.Joined = append(c.Joined, m.Group)
		}
	}
	slices.Sort(c.Groups)
	slices.Sort(c.Joined)
	return c
}
