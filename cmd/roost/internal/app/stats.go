package app

import (
	"crypto/tls"
	"maps"
	"time"

	"roost/httpapi"
	"roost/hub"
	"roost/netpoll"
	"roost/redisfeed"
	"roost/redisfeed/presence"
)

// stats reads the counters of all packages.
func (s *Service) stats() httpapi.Stats {
	var stats httpapi.Stats
	users, sockets := s.hub.Stats(), s.ws.Stats()
	addHub(&stats, users)
	addSockets(&stats, sockets)
	if s.certificates.ws != nil {
		addTLS(&stats, sockets)
	}
	s.addRedis(&stats)
	s.addService(&stats)
	return stats
}

// addHub fills in what the hub counts: users and their notifications.
func addHub(to *httpapi.Stats, users hub.Stats) {
	to.Connections = users.Connections
	to.Users = users.Users

	to.NotificationsReceived = users.Received
	to.NotificationsOffline = users.Offline
	to.NotificationsInvalid = users.Invalid
	to.NotificationsUnnamed = users.Unnamed

	to.Commands = users.Commands
	to.CommandsInvalid = users.CommandsInvalid
	to.GroupChanges = users.GroupChanges

	to.Broadcasts = users.Broadcasts
	to.GroupNotifications = users.GroupNotifications
	to.GroupsOffline = users.GroupsOffline
	to.BroadcastsWaiting = users.BroadcastsWaiting
	to.BroadcastBytes = users.BroadcastBytes
	to.BroadcastsDropped = users.BroadcastsDropped
	to.BroadcastTime = users.BroadcastTime

	to.ResumeWindow = users.Resume.Window
	to.ResumeBytes = users.Resume.Bytes
	to.ResumeRoom = users.Resume.Room
	to.Resumes = users.Resume.Results
	to.ReplaysSkipped = users.Resume.Skipped
}

// addSockets fills in what netpoll counts: connections, deliveries to them, and the loops.
func addSockets(to *httpapi.Stats, sockets netpoll.Stats) {
	to.ConnectionsAccepted = sockets.Opened
	to.TokenRenewals = sockets.Renewals
	to.ConnectionsRefused = sockets.Refused
	maps.Copy(to.ConnectionsRefused, sockets.Unanswered)
	to.ConnectionsClosed = sockets.Ended
	to.ClosedByCode = sockets.Closed
	to.HandshakeTimes = httpapi.Histogram(sockets.Handshakes)

	to.DeliveriesAccepted = sockets.Accepted
	to.DeliveriesSent = sockets.Sent
	to.DeliveriesFailed = sockets.Failed
	to.DeliveriesWaiting = int(sockets.Waiting)
	to.DeliveryTimes = httpapi.Histogram(sockets.Delays)
	to.DeliveriesUnacked = sockets.Unacked
	to.BytesUnacked = sockets.UnackedBytes

	to.Sockets = sockets.Sockets
	to.AcceptErrors = sockets.AcceptErrors
	to.QueuedBytes = sockets.QueuedBytes
	to.Stalled = sockets.Stalled
	to.MailboxItems = sockets.Mailbox
	to.LoopBusy = sockets.Busy
	to.Counters = sockets.Metrics()
}

// addRedis fills in how the feed and presence are.
func (s *Service) addRedis(to *httpapi.Stats) {
	redis := s.feed.Status()
	to.FeedBusy = redis.Busy
	to.RedisConnected = redis.Connected
	to.RedisPing = redis.Ping
	to.RedisReconnects = redis.Reconnects
	to.RedisGaps = redis.Gaps
	to.FeedUsers = s.feedUsers(redis.Users)

	presence, writes := s.presenceReadings()
	to.PresenceWrites = writes
	to.PresencePending = presence.Pending
	to.PresenceFailingFor = presence.FailingFor
	s.addWebhook(to)
}

// addService fills in what belongs to the process: its settings, keys, certificates, log and alerts.
func (s *Service) addService(to *httpapi.Stats) {
	to.ConnectionsLimit = s.current.Load().budget.Connections
	to.ResumeWindowWanted = s.cfg.WSResumeWindow

	keys := s.jwksStatus()
	to.JWKSKeys = keys.Keys
	to.JWKSLeftOut = keys.LeftOut
	to.JWKSRefreshes = s.jwksRefreshes()
	to.CertificateExpires = s.certificates.expire(time.Now())
	to.CertificateReloads = s.certificates.reloads()

	to.ConfigReloads = map[string]uint64{"ok": s.reloads.ok.Load(), "failed": s.reloads.failed.Load()}
	to.Upgrades = s.upgradeResults()
	to.LogLinesDropped = s.droppedLines()
	to.AlertsDropped = s.droppedAlerts()
}

// addTLS fills in what netpoll counts on the port for wss://. Usual kinds are there from the start, so that a rate over them exists.
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
