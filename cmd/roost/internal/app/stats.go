package app

import (
	"crypto/tls"
	"time"

	"roost/httpapi"
	"roost/netpoll"
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
	stats := httpapi.Stats{
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

		NotificationsUnnamed: users.Unnamed,
		Commands:             users.Commands,
		CommandsInvalid:      users.CommandsInvalid,
		GroupChanges:         users.GroupChanges,

		Broadcasts:         users.Broadcasts,
		GroupNotifications: users.GroupNotifications,
		GroupsOffline:      users.GroupsOffline,
		BroadcastsWaiting:  users.BroadcastsWaiting,
		BroadcastBytes:     users.BroadcastBytes,
		BroadcastsDropped:  users.BroadcastsDropped,
		BroadcastTime:      users.BroadcastTime,

		ResumeWindow:       users.Resume.Window,
		ResumeWindowWanted: s.cfg.WSResumeWindow,
		ResumeBytes:        users.Resume.Bytes,
		ResumeRoom:         users.Resume.Room,
		Resumes:            users.Resume.Results,
		ReplaysSkipped:     users.Resume.Skipped,

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
		Upgrades:      s.upgradeResults(),

		CertificateExpires: s.certificates.expire(time.Now()),
		CertificateReloads: s.certificates.reloads(),

		Counters: sockets.Metrics(),

		LogLinesDropped: s.droppedLines(),
		AlertsDropped:   s.droppedAlerts(),
	}
	if s.certificates.ws != nil {
		addTLS(&stats, sockets)
	}
	return stats
}

// addTLS fills in what is about the port for wss://. What is usual is there from the start, so that a rate over it exists.
func addTLS(to *httpapi.Stats, sockets netpoll.Stats) {
	to.TLSTimes = httpapi.Histogram(sockets.TLSTimes)
	to.TLSConnections = make(map[string]uint64)
	for version, n := range sockets.TLSConnections {
		to.TLSConnections[version] = uint64(n)
	}
	to.TLSHandshakes = make(map[httpapi.TLSHandshake]uint64)
	for _, suite := range []uint16{tls.TLS_AES_128_GCM_SHA256, tls.TLS_AES_256_GCM_SHA384, tls.TLS_CHACHA20_POLY1305_SHA256} {
		for _, resumed := range []bool{false, true} {
			to.TLSHandshakes[httpapi.TLSHandshake{Version: "1.3", Suite: tls.CipherSuiteName(suite), Resumed: resumed}] = 0
		}
	}
	for kind, n := range sockets.TLSHandshakes {
		to.TLSHandshakes[httpapi.TLSHandshake(kind)] = n
	}
	to.TLSFailures = map[httpapi.TLSFailure]uint64{
		{Alert: "handshake_failure", From: "server"}: 0, {Alert: "unknown_ca", From: "client"}: 0, {Alert: "certificate_expired", From: "client"}: 0,
	}
	for kind, n := range sockets.TLSFailures {
		to.TLSFailures[httpapi.TLSFailure(kind)] = n
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
