package httpapi

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
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

	NotificationsReceived uint64            // from Redis, whatever became of them
	NotificationsOffline  uint64            // for a user without a connection here
	NotificationsInvalid  map[string]uint64 // by what was wrong with the payload

	Commands        uint64 // from Redis, about users' connections: done
	CommandsInvalid uint64 // skipped for their content

	DeliveriesAccepted uint64            // a notification for one connection
	DeliveriesSent     uint64            // the kernel took the last byte
	DeliveriesFailed   map[string]uint64 // by reason
	DeliveriesWaiting  int               // now

	BytesReceived uint64 // from clients
	BytesSent     uint64 // to clients
	PingsSent     uint64
	GapNotices    uint64 // given to clients of which notifications were lost
	TextPongs     uint64 // given to clients that sent {"type":"ping"}

	Sockets          int    // of clients, in every state
	SocketsLingering int    // ended, waiting for the client to close
	LingerCut        uint64 // closed without waiting, because too many lingered
	AcceptErrors     uint64 // accept failed and was tried again
	Panics           uint64 // connections closed because serving them failed
	MailboxDepth     int    // items that wait for the loops
	QueuedBytes      int    // that wait for clients in user space
	Stalled          int    // connections that the kernel takes nothing for

	RedisConnected  bool
	RedisPing       time.Duration // last round trip
	RedisReconnects uint64

	TokenChecks   int               // handshakes whose token is checked, or waits to be, off the loops
	JWKSKeys      int               // public keys from the JWKS
	JWKSRefreshes map[string]uint64 // fetches of the JWKS, by result; nil without one

	LogLinesDropped uint64
	AlertsDropped   uint64
}

// metric is one line of the table below: a name, and how to read its value or, when it has a label, its values.
type metric struct {
	name   string
	help   string
	kind   prometheus.ValueType
	value  func(*Stats) float64
	label  string
	values func(*Stats) map[string]uint64
}

// table names every field of Stats for Prometheus.
func table() []metric {
	const gauge, counter = prometheus.GaugeValue, prometheus.CounterValue
	return []metric{
		{name: "roost_connections", kind: gauge, help: "WebSocket connections open now.",
			value: func(s *Stats) float64 { return float64(s.Connections) }},
		{name: "roost_users", kind: gauge, help: "Users with at least one open connection now.",
			value: func(s *Stats) float64 { return float64(s.Users) }},
		{name: "roost_connections_accepted_total", kind: counter, help: "Connections that were admitted.",
			value: func(s *Stats) float64 { return float64(s.ConnectionsAccepted) }},
		{name: "roost_connections_refused_total", kind: counter, help: "Connections that were not admitted, by reason.",
			label: "reason", values: func(s *Stats) map[string]uint64 { return s.ConnectionsRefused }},
		{name: "roost_connections_closed_total", kind: counter, help: "Admitted connections that ended, by reason.",
			label: "reason", values: func(s *Stats) map[string]uint64 { return s.ConnectionsClosed }},

		{name: "roost_notifications_received_total", kind: counter, help: "Notifications that Redis carried here.",
			value: func(s *Stats) float64 { return float64(s.NotificationsReceived) }},
		{name: "roost_notifications_offline_total", kind: counter, help: "Notifications for users without a connection here.",
			value: func(s *Stats) float64 { return float64(s.NotificationsOffline) }},
		{name: "roost_notifications_invalid_total", kind: counter, help: "Notifications skipped for their content, by reason.",
			label: "reason", values: func(s *Stats) map[string]uint64 { return s.NotificationsInvalid }},

		{name: "roost_commands_total", kind: counter, help: "Commands about users' connections that were done.",
			value: func(s *Stats) float64 { return float64(s.Commands) }},
		{name: "roost_commands_invalid_total", kind: counter, help: "Commands skipped for their content.",
			value: func(s *Stats) float64 { return float64(s.CommandsInvalid) }},

		{name: "roost_deliveries_accepted_total", kind: counter, help: "Notifications accepted for a connection, once for each.",
			value: func(s *Stats) float64 { return float64(s.DeliveriesAccepted) }},
		{name: "roost_deliveries_sent_total", kind: counter, help: "Deliveries whose last byte the kernel took.",
			value: func(s *Stats) float64 { return float64(s.DeliveriesSent) }},
		{name: "roost_deliveries_failed_total", kind: counter, help: "Deliveries that were given up, by reason.",
			label: "reason", values: func(s *Stats) map[string]uint64 { return s.DeliveriesFailed }},
		{name: "roost_deliveries_waiting", kind: gauge, help: "Deliveries neither sent nor given up yet.",
			value: func(s *Stats) float64 { return float64(s.DeliveriesWaiting) }},

		{name: "roost_received_bytes_total", kind: counter, help: "Bytes read from clients.",
			value: func(s *Stats) float64 { return float64(s.BytesReceived) }},
		{name: "roost_sent_bytes_total", kind: counter, help: "Bytes written to clients.",
			value: func(s *Stats) float64 { return float64(s.BytesSent) }},
		{name: "roost_pings_sent_total", kind: counter, help: "Pings sent to clients.",
			value: func(s *Stats) float64 { return float64(s.PingsSent) }},

		{name: "roost_client_pings_total", kind: counter, help: "Text messages {\"type\":\"ping\"} from clients that were answered.",
			value: func(s *Stats) float64 { return float64(s.TextPongs) }},
		{name: "roost_gap_notices_total", kind: counter, help: "Notices to clients that notifications for them were lost.",
			value: func(s *Stats) float64 { return float64(s.GapNotices) }},

		{name: "roost_sockets", kind: gauge, help: "Client sockets now, in every state.",
			value: func(s *Stats) float64 { return float64(s.Sockets) }},
		{name: "roost_sockets_lingering", kind: gauge, help: "Sockets that have ended and wait for the client to close.",
			value: func(s *Stats) float64 { return float64(s.SocketsLingering) }},
		{name: "roost_sockets_linger_cut_total", kind: counter, help: "Sockets closed without waiting for the client, because too many lingered.",
			value: func(s *Stats) float64 { return float64(s.LingerCut) }},
		{name: "roost_accept_errors_total", kind: counter, help: "Failures to accept a socket; each is retried.",
			value: func(s *Stats) float64 { return float64(s.AcceptErrors) }},
		{name: "roost_panics_total", kind: counter, help: "Connections closed because serving them failed.",
			value: func(s *Stats) float64 { return float64(s.Panics) }},
		{name: "roost_mailbox_items", kind: gauge, help: "Items that wait for the event loops.",
			value: func(s *Stats) float64 { return float64(s.MailboxDepth) }},
		{name: "roost_queued_bytes", kind: gauge, help: "Bytes of notifications that wait for slow clients.",
			value: func(s *Stats) float64 { return float64(s.QueuedBytes) }},
		{name: "roost_stalled_connections", kind: gauge, help: "Connections that the kernel takes no bytes for now.",
			value: func(s *Stats) float64 { return float64(s.Stalled) }},

		{name: "roost_redis_up", kind: gauge, help: "1 while the subscription to Redis works, else 0.",
			value: func(s *Stats) float64 { return oneIf(s.RedisConnected) }},
		{name: "roost_redis_ping_seconds", kind: gauge, help: "Last round trip through Redis.",
			value: func(s *Stats) float64 { return s.RedisPing.Seconds() }},
		{name: "roost_redis_reconnects_total", kind: counter, help: "Times that the subscription was made anew.",
			value: func(s *Stats) float64 { return float64(s.RedisReconnects) }},

		{name: "roost_token_checks", kind: gauge, help: "Handshakes whose token is being checked by a worker, or waits for one.",
			value: func(s *Stats) float64 { return float64(s.TokenChecks) }},
		{name: "roost_jwks_keys", kind: gauge, help: "Public keys from the JWKS that tokens are checked with.",
			value: func(s *Stats) float64 { return float64(s.JWKSKeys) }},
		{name: "roost_jwks_refreshes_total", kind: counter, help: "Fetches of the JWKS, by result; after one that failed the keys stay.",
			label: "result", values: func(s *Stats) map[string]uint64 { return s.JWKSRefreshes }},

		{name: "roost_log_lines_dropped_total", kind: counter, help: "Log lines left out because they were not read in time.",
			value: func(s *Stats) float64 { return float64(s.LogLinesDropped) }},
		{name: "roost_alerts_dropped_total", kind: counter, help: "Alerts that could not be posted.",
			value: func(s *Stats) float64 { return float64(s.AlertsDropped) }},
	}
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
