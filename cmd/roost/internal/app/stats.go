package app

import (
	"time"

	"roost/httpapi"
	"roost/redisfeed"
	"roost/redisfeed/presence"
)

// stats reads the counters of all packages.
func (s *Service) stats() httpapi.Stats {
	users, sockets, redis := s.hub.Stats(), s.ws.Stats(), s.feed.Status()
	presence, presenceWrites := s.presenceReadings()
	for reason, n := range sockets.Unanswered {
		sockets.Refused[reason] = n
	}
	return httpapi.Stats{
		Connections: users.Connections,
		Users:       users.Users,

		ConnectionsAccepted: sockets.Opened,
		ConnectionsRefused:  sockets.Refused,
		ConnectionsClosed:   sockets.Ended,
		ClosedByCode:        sockets.Closed,
		ConnectionsLimit:    s.current.Load().budget.Connections,
		HandshakeTimes:      httpapi.Histogram(sockets.Handshakes),

		NotificationsReceived: users.Received,
		NotificationsOffline:  users.Offline,
		NotificationsInvalid:  users.Invalid,

		Commands:        users.Commands,
		CommandsInvalid: users.CommandsInvalid,

		Broadcasts:         users.Broadcasts,
		GroupNotifications: users.GroupNotifications,
		GroupsOffline:      users.GroupsOffline,
		BroadcastsWaiting:  users.BroadcastsWaiting,
		BroadcastBytes:     users.BroadcastBytes,
		BroadcastsDropped:  users.BroadcastsDropped,
		BroadcastTime:      users.BroadcastTime,

		DeliveriesAccepted: sockets.Accepted,
		DeliveriesSent:     sockets.Sent,
		DeliveriesFailed:   sockets.Failed,
		DeliveriesWaiting:  int(sockets.Waiting),
		DeliveryTimes:      httpapi.Histogram(sockets.Delays),

		DeliveriesUnacked: sockets.Unacked,
		BytesUnacked:      sockets.UnackedBytes,

		Sockets:      sockets.Sockets,
		AcceptErrors: sockets.AcceptErrors,
		QueuedBytes:  sockets.QueuedBytes,
		Stalled:      sockets.Stalled,

		MailboxItems: sockets.Mailbox,
		LoopBusy:     sockets.Busy,
		FeedBusy:     redis.Busy,

		RedisConnected:  redis.Connected,
		RedisPing:       redis.Ping,
		RedisReconnects: redis.Reconnects,
		RedisGaps:       redis.Gaps,
		FeedUsers:       s.feedUsers(redis.Users),

		PresenceWrites:     presenceWrites,
		PresencePending:    presence.Pending,
		PresenceFailingFor: presence.FailingFor,

		JWKSKeys:      s.jwksStatus().Keys,
		JWKSLeftOut:   s.jwksStatus().LeftOut,
		JWKSRefreshes: s.jwksRefreshes(),
		ConfigReloads: map[string]uint64{"ok": s.reloads.ok.Load(), "failed": s.reloads.failed.Load()},

		CertificateExpires: s.certificates.expire(time.Now()),
		CertificateReloads: s.certificates.reloads(),

		Counters: sockets.Metrics(),

		LogLinesDropped: s.droppedLines(),
		AlertsDropped:   s.droppedAlerts(),
	}
}

// feedUsers is nil with one subscription for everybody.
func (s *Service) feedUsers(now redisfeed.Users) map[string]uint64 {
	if s.cfg.RedisFeed == "pattern" {
		return nil
	}
	return map[string]uint64{"heard": uint64(now.Subscribed), "unheard": uint64(now.Unsubscribed), "parting": uint64(now.Unsubscribing)}
}

// presenceReadings are the counters of presence. Without presence the map is nil and the rest is 0.
func (s *Service) presenceReadings() (status presence.Status, writes map[string]uint64) {
	if s.presence == nil {
		return status, nil
	}
	status = s.presence.Status()
	return status, map[string]uint64{"ok": status.Written, "failed": status.Failed}
}
