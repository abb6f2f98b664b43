package httpapi

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"roost/internal/metric"
)

// Stats is one reading of all counters and gauges, taken by cmd/roost from the rooms. Counters are since the start of
// the process. Maps go by reason and should hold every reason, at 0 too, so that a rate over it exists from the start.
//
// DeliveriesAccepted is DeliveriesSent, all of DeliveriesFailed and DeliveriesWaiting together, at every instant.
type Stats struct {
	Connections int // open now
	Users       int // with an open connection now

	ConnectionsAccepted uint64            // admitted: they got their 101
	ConnectionsRefused  map[string]uint64 // by the reason in the answer
	ConnectionsClosed   map[string]uint64 // by why they ended
	ClosedByCode        map[string]uint64 // the same, by the close code, of which there must be few
	ConnectionsLimit    int               // that may be open at once
	HandshakeTimes      Histogram         // of ConnectionsAccepted: from accept to the 101

	NotificationsReceived uint64            // from Redis, for a user, whatever became of them
	NotificationsOffline  uint64            // for a user without a connection here
	NotificationsInvalid  map[string]uint64 // by what was wrong with the payload

	Commands        uint64 // from Redis, about users' connections: done
	CommandsInvalid uint64 // skipped for their content

	Broadcasts         uint64 // from Redis, for everyone
	GroupNotifications uint64 // from Redis, for a group
	GroupsOffline      uint64 // of these: nobody here is in the group
	BroadcastsWaiting  int    // of both: not handed to all connections yet
	BroadcastBytes     int    // that these take

	BroadcastsDropped map[string]uint64 // of both, by why they did not reach all connections
	BroadcastTime     time.Duration     // that those of both took which are done, together

	DeliveriesAccepted uint64            // a notification for one connection
	DeliveriesSent     uint64            // the kernel took the last byte
	DeliveriesFailed   map[string]uint64 // by reason
	DeliveriesWaiting  int               // now
	DeliveryTimes      Histogram         // of DeliveriesSent: from Redis to the kernel's taking of the last byte

	DeliveriesUnacked map[string]uint64 // of DeliveriesSent: not acknowledged by the client when its connection ended, by why it did
	BytesUnacked      map[string]uint64 // the same of everything that was sent

	Sockets      int    // of clients, in every state
	AcceptErrors uint64 // accept failed and was tried again
	QueuedBytes  int    // memory of what waits for clients that the kernel takes nothing for
	Stalled      int    // connections that the kernel takes nothing for

	MailboxItems []int           // that wait, a loop
	LoopBusy     []time.Duration // not asleep, a loop
	FeedBusy     time.Duration   // not waiting for Redis

	RedisConnected  bool
	RedisPing       time.Duration // last round trip
	RedisReconnects uint64
	RedisGaps       uint64            // times at which notifications may have been missed
	FeedUsers       map[string]uint64 // users by how far the subscription to each is; nil where one subscription hears everybody

	PresenceWrites     map[string]uint64 // users written to Redis, by result; nil without presence
	PresencePending    int               // users to write
	PresenceFailingFor time.Duration     // since when they can't be; 0 while they can

	JWKSKeys      int               // public keys from the JWKS
	JWKSLeftOut   int               // that the JWKS has and that can't be used
	JWKSRefreshes map[string]uint64 // fetches of the JWKS, by result; nil without one
	ConfigReloads map[string]uint64 // times that the configuration was read again, by result

	CertificateExpires map[string]time.Duration // until it does, by port, "websocket" or "http"; nil without TLS
	CertificateReloads map[string]uint64        // looks at changed files of certificates, by result; nil without TLS

	LogLinesDropped uint64
	AlertsDropped   uint64

	// Counters are the values of Config.Counters, in any order. A package that describes its counters itself needs no
	// field here.
	Counters []metric.Value

	AdminConnections int    // to the admin server; set by it, as the next
	AdminEvicted     uint64 // of these: closed for others

	PublishRequests   map[string]uint64 // to /publish, by status; nil without it. Set by the admin server, as the next
	PublishedOverHTTP map[string]uint64 // of these: what was published, by kind
}

// family is one line of the table below: a name, and one way to read its value or values.
type family struct {
	name string
	help string
	kind prometheus.ValueType // not of histograms

	value     func(*Stats) float64
	label     string // of values
	values    func(*Stats) map[string]uint64
	times     func(*Stats) map[string]time.Duration // as values
	loops     func(*Stats) []float64                // one a loop
	histogram func(*Stats) *Histogram
}

// table names every field of Stats but Counters for Prometheus.
func table() []family {
	const gauge, counter = prometheus.GaugeValue, prometheus.CounterValue
	return []family{
		{name: "roost_connections", kind: gauge, help: "WebSocket connections open now.",
			value: func(s *Stats) float64 { return float64(s.Connections) }},
		{name: "roost_users", kind: gauge, help: "Users with at least one open connection now.",
			value: func(s *Stats) float64 { return float64(s.Users) }},
		{name: "roost_connections_accepted_total", kind: counter, help: "Connections that were admitted: they got their 101.",
			value: func(s *Stats) float64 { return float64(s.ConnectionsAccepted) }},
		{name: "roost_connections_refused_total", kind: counter, help: "Connections that were not admitted, by reason.",
			label: "reason", values: func(s *Stats) map[string]uint64 { return s.ConnectionsRefused }},
		{name: "roost_connections_closed_total", kind: counter, help: "Admitted connections that ended, by reason.",
			label: "reason", values: func(s *Stats) map[string]uint64 { return s.ConnectionsClosed }},
		{name: "roost_connections_closed_by_code_total", kind: counter,
			help:  "Admitted connections that ended, by close code: 1005 without a code, 1006 without a close frame, 3xxx and 4xxx for those that backends and clients choose.",
			label: "code", values: func(s *Stats) map[string]uint64 { return s.ClosedByCode }},
		{name: "roost_connections_limit", kind: gauge, help: "WebSocket connections that may be open at once: WS_MAX_CONNECTIONS, or fewer where the limit on open files allows fewer.",
			value: func(s *Stats) float64 { return float64(s.ConnectionsLimit) }},
		{name: "roost_handshake_duration_seconds",
			help:      "Time from accept to the 101, for connections that were admitted: waiting for the client's request, for the loop and for the feed, and the answer. To the millisecond.",
			histogram: func(s *Stats) *Histogram { return &s.HandshakeTimes }},

		{name: "roost_notifications_received_total", kind: counter, help: "Notifications for a user that Redis carried here.",
			value: func(s *Stats) float64 { return float64(s.NotificationsReceived) }},
		{name: "roost_notifications_offline_total", kind: counter, help: "Notifications for users without a connection here.",
			value: func(s *Stats) float64 { return float64(s.NotificationsOffline) }},
		{name: "roost_notifications_invalid_total", kind: counter, help: "Notifications skipped for their content, by reason.",
			label: "reason", values: func(s *Stats) map[string]uint64 { return s.NotificationsInvalid }},

		{name: "roost_commands_total", kind: counter, help: "Commands about users' connections that were done.",
			value: func(s *Stats) float64 { return float64(s.Commands) }},
		{name: "roost_commands_invalid_total", kind: counter, help: "Commands skipped for their content.",
			value: func(s *Stats) float64 { return float64(s.CommandsInvalid) }},

		{name: "roost_broadcasts_total", kind: counter, help: "Notifications for everyone that Redis carried here.",
			value: func(s *Stats) float64 { return float64(s.Broadcasts) }},
		{name: "roost_group_notifications_total", kind: counter, help: "Notifications for groups that Redis carried here.",
			value: func(s *Stats) float64 { return float64(s.GroupNotifications) }},
		{name: "roost_group_notifications_offline_total", kind: counter, help: "Notifications for groups without a connection here.",
			value: func(s *Stats) float64 { return float64(s.GroupsOffline) }},
		{name: "roost_broadcasts_waiting", kind: gauge, help: "Notifications for everyone or a group that are not delivered to all their connections yet. Beyond 256 for a group, or for everyone, the oldest is dropped.",
			value: func(s *Stats) float64 { return float64(s.BroadcastsWaiting) }},
		{name: "roost_broadcasts_waiting_bytes", kind: gauge, help: "Memory of the notifications for everyone or a group that wait. WS_MAX_BROADCAST_BYTES bounds it; one group, or everyone, may have an eighth.",
			value: func(s *Stats) float64 { return float64(s.BroadcastBytes) }},
		{name: "roost_broadcasts_dropped_total", kind: counter, help: "Notifications for everyone or a group that some of their connections did not get, by reason: queue_full, too many waited for one group; queues_full, too many waited in all; shutdown, the server stopped.",
			label: "reason", values: func(s *Stats) map[string]uint64 { return s.BroadcastsDropped }},
		{name: "roost_broadcast_seconds_total", kind: counter,
			help:  "Time from Redis to the last connection of notifications for everyone or a group.",
			value: func(s *Stats) float64 { return s.BroadcastTime.Seconds() }},

		{name: "roost_deliveries_accepted_total", kind: counter, help: "Notifications accepted for a connection, once for each.",
			value: func(s *Stats) float64 { return float64(s.DeliveriesAccepted) }},
		{name: "roost_deliveries_sent_total", kind: counter, help: "Deliveries whose last byte the kernel took.",
			value: func(s *Stats) float64 { return float64(s.DeliveriesSent) }},
		{name: "roost_deliveries_failed_total", kind: counter, help: "Deliveries that were given up, by reason.",
			label: "reason", values: func(s *Stats) map[string]uint64 { return s.DeliveriesFailed }},
		{name: "roost_deliveries_waiting", kind: gauge, help: "Deliveries neither sent nor given up yet.",
			value: func(s *Stats) float64 { return float64(s.DeliveriesWaiting) }},
		{name: "roost_delivery_duration_seconds",
			help:      "Time of sent notifications from the read from Redis that brought them until the kernel had taken their last byte for a connection. One for everyone or a group counts from its turn at the connection.",
			histogram: func(s *Stats) *Histogram { return &s.DeliveryTimes }},

		{name: "roost_deliveries_unacknowledged_total", kind: counter,
			help:  "Deliveries that were sent and that the client had not acknowledged when its connection ended, by reason of that: most of them never arrived. They stay counted as sent.",
			label: "reason", values: func(s *Stats) map[string]uint64 { return s.DeliveriesUnacked }},
		{name: "roost_unacknowledged_bytes_total", kind: counter,
			help:  "Bytes that were sent, control frames too, and that the client had not acknowledged when its connection ended, by reason of that.",
			label: "reason", values: func(s *Stats) map[string]uint64 { return s.BytesUnacked }},

		{name: "roost_sockets", kind: gauge, help: "Client sockets now, in every state.",
			value: func(s *Stats) float64 { return float64(s.Sockets) }},
		{name: "roost_accept_errors_total", kind: counter, help: "Failures to accept a socket; each is retried.",
			value: func(s *Stats) float64 { return float64(s.AcceptErrors) }},
		{name: "roost_mailbox_items", kind: gauge, help: "Notifications that wait for an event loop. Beyond 16384, or 16 MiB, the feed waits.",
			loops: func(s *Stats) []float64 { return floats(s.MailboxItems) }},
		{name: "roost_loop_busy_seconds_total", kind: counter,
			help:  "Time that an event loop was not asleep. A rate of 1 is all of a loop. What the feed writes for sleeping loops is in roost_feed_busy_seconds_total.",
			loops: func(s *Stats) []float64 { return seconds(s.LoopBusy) }},
		{name: "roost_feed_busy_seconds_total", kind: counter,
			help:  "Time that the feed was not waiting for Redis. The feed is one thread: a rate of 1 is all of it.",
			value: func(s *Stats) float64 { return s.FeedBusy.Seconds() }},
		{name: "roost_queued_bytes", kind: gauge, help: "Memory of the notifications that wait for stalled connections. One that waits for many counts once.",
			value: func(s *Stats) float64 { return float64(s.QueuedBytes) }},
		{name: "roost_stalled_connections", kind: gauge, help: "Connections for which the kernel takes no bytes now: their clients read less than comes, for a moment or for long.",
			value: func(s *Stats) float64 { return float64(s.Stalled) }},

		{name: "roost_redis_up", kind: gauge, help: "1 while the subscription to Redis works, else 0.",
			value: func(s *Stats) float64 { return oneIf(s.RedisConnected) }},
		{name: "roost_redis_ping_seconds", kind: gauge, help: "Last round trip through Redis.",
			value: func(s *Stats) float64 { return s.RedisPing.Seconds() }},
		{name: "roost_redis_reconnects_total", kind: counter, help: "Times that the subscription was made again.",
			value: func(s *Stats) float64 { return float64(s.RedisReconnects) }},
		{name: "roost_redis_gaps_total", kind: counter, help: "Times at which notifications may have been missed: Redis, or one shard of a cluster, was away, or a slot was moved.",
			value: func(s *Stats) float64 { return float64(s.RedisGaps) }},
		{name: "roost_feed_users", kind: gauge,
			help:  "Users by the state of their subscription: heard (subscribed), unheard (not subscribed, or not yet: what is published for them is lost), parting (being unsubscribed). Absent where one subscription covers all users.",
			label: "state", values: func(s *Stats) map[string]uint64 { return s.FeedUsers }},

		{name: "roost_presence_writes_total", kind: counter,
			help:  "Writes of a user to Redis as online or offline, renewals too, by result; a failed one is tried again.",
			label: "result", values: func(s *Stats) map[string]uint64 { return s.PresenceWrites }},
		{name: "roost_presence_pending", kind: gauge, help: "Users whose online or offline state waits to be written to Redis.",
			value: func(s *Stats) float64 { return float64(s.PresencePending) }},
		{name: "roost_presence_failing_seconds", kind: gauge, help: "Time for which presence could not be written to Redis; 0 while it can.",
			value: func(s *Stats) float64 { return s.PresenceFailingFor.Seconds() }},

		{name: "roost_jwks_keys", kind: gauge, help: "Public keys from the JWKS that tokens are checked with.",
			value: func(s *Stats) float64 { return float64(s.JWKSKeys) }},
		{name: "roost_jwks_keys_left_out", kind: gauge, help: "Public keys of the JWKS that can't be used although tokens seem to be signed with them: the log says why.",
			value: func(s *Stats) float64 { return float64(s.JWKSLeftOut) }},
		{name: "roost_jwks_refreshes_total", kind: counter, help: "Fetches of the JWKS, by result; a failed one leaves the keys as they are.",
			label: "result", values: func(s *Stats) map[string]uint64 { return s.JWKSRefreshes }},
		{name: "roost_config_reloads_total", kind: counter, help: "Reloads of the configuration, by result; one that failed changed nothing.",
			label: "result", values: func(s *Stats) map[string]uint64 { return s.ConfigReloads }},

		{name: "roost_tls_certificate_expires_seconds", kind: gauge,
			help:  "Time until the first of the certificates of a port expires, those of their chains included; below 0 after it.",
			label: "port", times: func(s *Stats) map[string]time.Duration { return s.CertificateExpires }},
		{name: "roost_tls_certificate_reloads_total", kind: counter,
			help:  "Looks at the files of certificates, by result: ok where a new certificate replaced the old one, failed where the files could not be used and the old one stayed. Files are looked at every minute, so failed goes on.",
			label: "result", values: func(s *Stats) map[string]uint64 { return s.CertificateReloads }},

		{name: "roost_log_lines_dropped_total", kind: counter, help: "Log lines left out because they were not read in time.",
			value: func(s *Stats) float64 { return float64(s.LogLinesDropped) }},
		{name: "roost_alerts_dropped_total", kind: counter, help: "Alerts that could not be posted.",
			value: func(s *Stats) float64 { return float64(s.AlertsDropped) }},

		{name: "roost_admin_connections", kind: gauge, help: "Connections to the admin server now. There are 64 at most.",
			value: func(s *Stats) float64 { return float64(s.AdminConnections) }},
		{name: "roost_admin_connections_evicted_total", kind: counter,
			help:  "Connections to the admin server that were closed to make room for others.",
			value: func(s *Stats) float64 { return float64(s.AdminEvicted) }},
		{name: "roost_publish_requests_total", kind: counter, help: "Requests to POST /publish of the admin server, by status.",
			label: "code", values: func(s *Stats) map[string]uint64 { return s.PublishRequests }},
		{name: "roost_publish_publications_total", kind: counter,
			help:  "What was published over POST /publish, by kind: notifications for a user, a group or everyone, and disconnect commands.",
			label: "kind", values: func(s *Stats) map[string]uint64 { return s.PublishedOverHTTP }},
	}
}

func floats(ns []int) (fs []float64) {
	for _, n := range ns {
		fs = append(fs, float64(n))
	}
	return fs
}

func seconds(ds []time.Duration) (fs []float64) {
	for _, d := range ds {
		fs = append(fs, d.Seconds())
	}
	return fs
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Counter returns the value of one of Counters, by the name of its metric; 0 if there is none.
func (s *Stats) Counter(name string) int64 {
	for _, v := range s.Counters {
		if v.Name == name {
			return v.Value
		}
	}
	return 0
}
