package httpapi

import (
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// family is one metric of Prometheus: a name, and one way to read its value or values.
type family struct {
	name string
	help string
	kind prometheus.ValueType // not of histograms

	value     func(*Stats) float64
	label     string // of values
	values    func(*Stats) map[string]uint64
	times     func(*Stats) map[string]time.Duration // as values
	several   []string                              // of counts
	counts    func(*Stats) []labelled               // as values, by several labels
	loops     func(*Stats) []float64                // one a loop
	histogram func(*Stats) *Histogram
}

// table names every field of Stats but Counters for Prometheus.
func table() []family {
	return slices.Concat(connectionFamilies(), notificationFamilies(), broadcastFamilies(), resumeFamilies(), deliveryFamilies(),
		loopFamilies(), redisFamilies(), webhookFamilies(), securityFamilies(), tlsFamilies(), adminFamilies())
}

func gauge(name, help string, value func(*Stats) float64) family {
	return family{name: name, help: help, kind: prometheus.GaugeValue, value: value}
}

func counter(name, help string, value func(*Stats) float64) family {
	return family{name: name, help: help, kind: prometheus.CounterValue, value: value}
}

func gaugeBy(label, name, help string, values func(*Stats) map[string]uint64) family {
	return family{name: name, help: help, kind: prometheus.GaugeValue, label: label, values: values}
}

func counterBy(label, name, help string, values func(*Stats) map[string]uint64) family {
	return family{name: name, help: help, kind: prometheus.CounterValue, label: label, values: values}
}

func timesBy(label, name, help string, times func(*Stats) map[string]time.Duration) family {
	return family{name: name, help: help, kind: prometheus.GaugeValue, label: label, times: times}
}

// labelled is a value with what the labels say of it, in their order.
type labelled struct {
	labels []string
	value  uint64
}

func counterByAll(labels []string, name, help string, counts func(*Stats) []labelled) family {
	return family{name: name, help: help, kind: prometheus.CounterValue, several: labels, counts: counts}
}

func gaugeOfLoops(name, help string, loops func(*Stats) []float64) family {
	return family{name: name, help: help, kind: prometheus.GaugeValue, loops: loops}
}

func counterOfLoops(name, help string, loops func(*Stats) []float64) family {
	return family{name: name, help: help, kind: prometheus.CounterValue, loops: loops}
}

func histogram(name, help string, read func(*Stats) *Histogram) family {
	return family{name: name, help: help, histogram: read}
}

// connectionFamilies are the metrics of connections and handshakes.
func connectionFamilies() []family {
	return []family{
		gauge("roost_connections",
			"Connections open now: WebSockets and event streams.",
			func(s *Stats) float64 { return float64(s.Connections) }),
		gauge("roost_users",
			"Users with at least one open connection now.",
			func(s *Stats) float64 { return float64(s.Users) }),
		counter("roost_connections_accepted_total",
			"Connections that were admitted: they got their 101, or the head of their event stream.",
			func(s *Stats) float64 { return float64(s.ConnectionsAccepted) }),
		counterBy("reason", "roost_connections_refused_total",
			"Connections that were not admitted, by reason.",
			func(s *Stats) map[string]uint64 { return s.ConnectionsRefused }),
		counterBy("reason", "roost_connections_closed_total",
			"Admitted connections that ended, by reason.",
			func(s *Stats) map[string]uint64 { return s.ConnectionsClosed }),
		counterBy("code", "roost_connections_closed_by_code_total",
			"Admitted connections that ended, by close code: 1005 without a code, 1006 without a close frame, 3xxx and 4xxx for those that backends and clients choose.",
			func(s *Stats) map[string]uint64 { return s.ClosedByCode }),
		gauge("roost_connections_limit",
			"WebSocket connections that may be open at once: WS_MAX_CONNECTIONS, or fewer where the limit on open files allows fewer.",
			func(s *Stats) float64 { return float64(s.ConnectionsLimit) }),
		counterBy("result", "roost_token_renewals_total",
			"Tokens that clients sent on an open connection, by result: renewed; or not, because the message had none, the token was not accepted, it was an other_user's, there were too_many of the connection, or the server was busy.",
			func(s *Stats) map[string]uint64 { return s.TokenRenewals }),
		histogram("roost_handshake_duration_seconds",
			"Time from accept to the 101, for connections that were admitted: waiting for the client's request, for the loop and for the feed, and the answer. To the millisecond.",
			func(s *Stats) *Histogram { return &s.HandshakeTimes }),
	}
}

// notificationFamilies are the metrics of notifications and commands that came from Redis.
func notificationFamilies() []family {
	return []family{
		counter("roost_notifications_received_total",
			"Notifications for a user that Redis carried here.",
			func(s *Stats) float64 { return float64(s.NotificationsReceived) }),
		counter("roost_notifications_offline_total",
			"Notifications for users without a connection here.",
			func(s *Stats) float64 { return float64(s.NotificationsOffline) }),
		counter("roost_notifications_other_connections_total",
			"Notifications with only or except that were for none of the user's connections here.",
			func(s *Stats) float64 { return float64(s.NotificationsUnnamed) }),
		counterBy("reason", "roost_notifications_invalid_total",
			"Notifications skipped for their content, by reason.",
			func(s *Stats) map[string]uint64 { return s.NotificationsInvalid }),
		counter("roost_commands_total",
			"Commands about users' connections that were done.",
			func(s *Stats) float64 { return float64(s.Commands) }),
		counter("roost_commands_invalid_total",
			"Commands skipped for their content.",
			func(s *Stats) float64 { return float64(s.CommandsInvalid) }),
		counterBy("change", "roost_group_changes_total",
			"Groups that connections joined and left while they were open, by commands and renewed tokens, once for each connection, by change: joined; left; refused, because the connection is in 200 groups.",
			func(s *Stats) map[string]uint64 { return s.GroupChanges }),
	}
}

// broadcastFamilies are the metrics of notifications for everyone and for groups.
func broadcastFamilies() []family {
	return []family{
		counter("roost_broadcasts_total",
			"Notifications for everyone that Redis carried here.",
			func(s *Stats) float64 { return float64(s.Broadcasts) }),
		counter("roost_group_notifications_total",
			"Notifications for groups that Redis carried here.",
			func(s *Stats) float64 { return float64(s.GroupNotifications) }),
		counter("roost_group_notifications_offline_total",
			"Notifications for groups without a connection here.",
			func(s *Stats) float64 { return float64(s.GroupsOffline) }),
		gauge("roost_broadcasts_waiting",
			"Notifications for everyone or a group that are not delivered to all their connections yet. Beyond 256 for a group, or for everyone, the oldest is dropped.",
			func(s *Stats) float64 { return float64(s.BroadcastsWaiting) }),
		gauge("roost_broadcasts_waiting_bytes",
			"Memory of the notifications for everyone or a group that wait. WS_MAX_BROADCAST_BYTES bounds it; one group, or everyone, may have an eighth.",
			func(s *Stats) float64 { return float64(s.BroadcastBytes) }),
		counterBy("reason", "roost_broadcasts_dropped_total",
			"Notifications for everyone or a group that some of their connections did not get, by reason: queue_full, too many waited for one group; queues_full, too many waited in all; shutdown, the server stopped.",
			func(s *Stats) map[string]uint64 { return s.BroadcastsDropped }),
		counter("roost_broadcast_seconds_total",
			"Time from Redis to the last connection of notifications for everyone or a group.",
			func(s *Stats) float64 { return s.BroadcastTime.Seconds() }),
	}
}

// resumeFamilies are the metrics of clients that come back.
func resumeFamilies() []family {
	return []family{
		gauge("roost_resume_window_seconds",
			"How far back a client can resume now: WS_RESUME_WINDOW, or less where WS_RESUME_BYTES are too few, or since the start or the last loss of Redis. 0 where clients can't resume.",
			func(s *Stats) float64 { return s.ResumeWindow.Seconds() }),
		gauge("roost_resume_window_wanted_seconds",
			"WS_RESUME_WINDOW.",
			func(s *Stats) float64 { return s.ResumeWindowWanted.Seconds() }),
		gauge("roost_resume_bytes",
			"Memory of the notifications that can be replayed.",
			func(s *Stats) float64 { return float64(s.ResumeBytes) }),
		gauge("roost_resume_max_bytes",
			"What these may take: WS_RESUME_BYTES, less their index.",
			func(s *Stats) float64 { return float64(s.ResumeRoom) }),
		counterBy("reason", "roost_replays_skipped_total",
			"Notifications that a client had missed and did not get when it came back, by reason: expired, their ttl was over; collapsed, it got a later one with the same collapse.",
			func(s *Stats) map[string]uint64 { return s.ReplaysSkipped }),
		counterBy("result", "roost_resumes_total",
			"Clients that came back with the id of an envelope, by result: resumed, they have what they missed; or they were told of a gap, because the id is unknown (of another Redis, or from before the start or a loss of Redis), too_old, a mismatch (another instance heard something else), because too_many notifications were missed, because of groups that a command had the connection join, or, with REDIS_FEED user and sharded, because the user was unheard meanwhile.",
			func(s *Stats) map[string]uint64 { return s.Resumes }),
	}
}

// deliveryFamilies are the metrics of notifications on their way to one connection.
func deliveryFamilies() []family {
	return []family{
		counter("roost_deliveries_accepted_total",
			"Notifications accepted for a connection, once for each.",
			func(s *Stats) float64 { return float64(s.DeliveriesAccepted) }),
		counter("roost_deliveries_sent_total",
			"Deliveries whose last byte the kernel took.",
			func(s *Stats) float64 { return float64(s.DeliveriesSent) }),
		counterBy("reason", "roost_deliveries_failed_total",
			"Deliveries that were given up, by reason.",
			func(s *Stats) map[string]uint64 { return s.DeliveriesFailed }),
		gauge("roost_deliveries_waiting",
			"Deliveries neither sent nor given up yet.",
			func(s *Stats) float64 { return float64(s.DeliveriesWaiting) }),
		histogram("roost_delivery_duration_seconds",
			"Time of sent notifications from the read from Redis that brought them until the kernel had taken their last byte for a connection. One for everyone or a group counts from its turn at the connection.",
			func(s *Stats) *Histogram { return &s.DeliveryTimes }),
		counterBy("reason", "roost_deliveries_unacknowledged_total",
			"Deliveries that were sent and that the client had not acknowledged when its connection ended, by reason of that: most of them never arrived. They stay counted as sent.",
			func(s *Stats) map[string]uint64 { return s.DeliveriesUnacked }),
		counterBy("reason", "roost_unacknowledged_bytes_total",
			"Bytes that were sent, control frames too, and that the client had not acknowledged when its connection ended, by reason of that.",
			func(s *Stats) map[string]uint64 { return s.BytesUnacked }),
	}
}

// loopFamilies are the metrics of sockets, event loops and what waits in them.
func loopFamilies() []family {
	return []family{
		gauge("roost_sockets",
			"Client sockets now, in every state.",
			func(s *Stats) float64 { return float64(s.Sockets) }),
		counter("roost_accept_errors_total",
			"Failures to accept a socket; each is retried.",
			func(s *Stats) float64 { return float64(s.AcceptErrors) }),
		gaugeOfLoops("roost_mailbox_items",
			"Notifications that wait for an event loop. Beyond 16384, or 16 MiB, the feed waits.",
			func(s *Stats) []float64 { return floats(s.MailboxItems) }),
		counterOfLoops("roost_loop_busy_seconds_total",
			"Time that an event loop was not asleep. A rate of 1 is all of a loop. The feed's writes for sleeping loops count in roost_feed_busy_seconds_total.",
			func(s *Stats) []float64 { return seconds(s.LoopBusy) }),
		counter("roost_feed_busy_seconds_total",
			"Time that the feed was not waiting for Redis. The feed is one thread: a rate of 1 is all of it.",
			func(s *Stats) float64 { return s.FeedBusy.Seconds() }),
		gauge("roost_queued_bytes",
			"Memory of the notifications that wait for stalled connections. A notification that waits for many counts once.",
			func(s *Stats) float64 { return float64(s.QueuedBytes) }),
		gauge("roost_stalled_connections",
			"Connections for which the kernel takes no bytes now: their clients read less than comes, for a moment or for long.",
			func(s *Stats) float64 { return float64(s.Stalled) }),
	}
}

// redisFamilies are the metrics of the subscription, and presence.
func redisFamilies() []family {
	return []family{
		gauge("roost_redis_up",
			"1 while the subscription to Redis works, else 0.",
			func(s *Stats) float64 { return oneIf(s.RedisConnected) }),
		gauge("roost_redis_ping_seconds",
			"Last round trip through Redis.",
			func(s *Stats) float64 { return s.RedisPing.Seconds() }),
		counter("roost_redis_reconnects_total",
			"Times that the subscription was made again.",
			func(s *Stats) float64 { return float64(s.RedisReconnects) }),
		counter("roost_redis_gaps_total",
			"Times at which notifications may have been missed: Redis, or one shard of a cluster, was away, or a slot was moved.",
			func(s *Stats) float64 { return float64(s.RedisGaps) }),
		gaugeBy("state", "roost_feed_users",
			"Users by the state of their subscription: heard (subscribed), unheard (not subscribed, or not yet: notifications for them are lost), parting (being unsubscribed). Absent where one subscription covers all users.",
			func(s *Stats) map[string]uint64 { return s.FeedUsers }),
		counterBy("result", "roost_presence_writes_total",
			"Writes of a user to Redis as online or offline, renewals too, by result; a failed one is tried again.",
			func(s *Stats) map[string]uint64 { return s.PresenceWrites }),
		gauge("roost_presence_pending",
			"Users whose online or offline state waits to be written to Redis.",
			func(s *Stats) float64 { return float64(s.PresencePending) }),
		gauge("roost_presence_failing_seconds",
			"Time for which presence could not be written to Redis; 0 while it can.",
			func(s *Stats) float64 { return s.PresenceFailingFor.Seconds() }),
	}
}

// webhookFamilies are the metrics of the webhook.
func webhookFamilies() []family {
	return []family{
		counterBy("fate", "roost_webhook_events_total",
			"Events for WEBHOOK_URL by what became of them: sent; refused, the endpoint answered 4xx or a redirect; gave_up, it failed for WEBHOOK_RETRY_FOR; queue_full, more waited than WEBHOOK_QUEUE_BYTES; shutdown, they waited when the server ended; handover, the new process of an upgrade has them. Absent without a webhook.",
			func(s *Stats) map[string]uint64 { return s.WebhookEvents }),
		counterBy("result", "roost_webhook_requests_total",
			"Requests to WEBHOOK_URL, each attempt, by result: ok, 2xx; refused, 4xx; too_many, 429; try_again, 408 and 425; server_error, 5xx; redirect, 3xx, which is not followed; timeout; network, no response. Absent without a webhook.",
			func(s *Stats) map[string]uint64 { return s.WebhookRequests }),
		counter("roost_webhook_reported_users_total",
			"Users of instances that have died, or ended with events left, whose state this one has told. Each is one event, online or offline.",
			func(s *Stats) float64 { return float64(s.WebhookReported) }),
		gauge("roost_webhook_waiting",
			"Events that wait for WEBHOOK_URL, those of the request under way too.",
			func(s *Stats) float64 { return float64(s.WebhookWaiting) }),
		gauge("roost_webhook_waiting_bytes",
			"Memory of the events that wait for WEBHOOK_URL. WEBHOOK_QUEUE_BYTES bounds it.",
			func(s *Stats) float64 { return float64(s.WebhookBytes) }),
		gauge("roost_webhook_failing_seconds",
			"Time for which WEBHOOK_URL has taken no request, from the first that failed on; 0 while it does.",
			func(s *Stats) float64 { return s.WebhookFailingFor.Seconds() }),
	}
}

// securityFamilies are the metrics of keys, certificates and reloads.
func securityFamilies() []family {
	return []family{
		gauge("roost_jwks_keys",
			"Public keys from the JWKS that tokens are checked with.",
			func(s *Stats) float64 { return float64(s.JWKSKeys) }),
		gauge("roost_jwks_keys_left_out",
			"Public keys of the JWKS that can't be used although tokens seem to be signed with them: the log says why.",
			func(s *Stats) float64 { return float64(s.JWKSLeftOut) }),
		counterBy("result", "roost_jwks_refreshes_total",
			"Fetches of the JWKS, by result; a failed one leaves the keys as they are.",
			func(s *Stats) map[string]uint64 { return s.JWKSRefreshes }),
		counterBy("result", "roost_config_reloads_total",
			"Reloads of the configuration, by result; one that failed changed nothing.",
			func(s *Stats) map[string]uint64 { return s.ConfigReloads }),
		counterBy("result", "roost_upgrades_total",
			"Upgrades by SIGUSR2, by result. handover and drain count in the process that took over: with the connections, or while the old one closed them. failed and refused count in the process that goes on: the new one ended, hung or broke off, or one of the two said why it can't.",
			func(s *Stats) map[string]uint64 { return s.Upgrades }),
		timesBy("port", "roost_tls_certificate_expires_seconds",
			"Time until the first of the certificates of a port expires, those of their chains included; below 0 after it.",
			func(s *Stats) map[string]time.Duration { return s.CertificateExpires }),
		counterBy("result", "roost_tls_certificate_reloads_total",
			"Looks at the files of certificates, by result: ok where a new certificate replaced the old one, failed where the files could not be used and the old one stayed. Files are looked at every minute, so failed goes on.",
			func(s *Stats) map[string]uint64 { return s.CertificateReloads }),
	}
}

// tlsFamilies are the metrics of the port for wss://.
func tlsFamilies() []family {
	return []family{
		gaugeBy("version", "roost_tls_connections",
			"Sockets whose TLS handshake is done, now, by version of TLS. Those of 1.2 take some 8 KB each, and up to 26 KB once a long record has come. Absent without wss://.",
			func(s *Stats) map[string]uint64 { return s.TLSConnections }),
		counterByAll([]string{"version", "suite", "resumed"}, "roost_tls_handshakes_total",
			"TLS handshakes that ended well, by version, cipher suite, and whether a session was resumed.",
			func(s *Stats) (all []labelled) {
				for k, n := range s.TLSHandshakes {
					all = append(all, labelled{[]string{k.Version, k.Suite, strconv.FormatBool(k.Resumed)}, n})
				}
				return all
			}),
		counterByAll([]string{"alert", "from"}, "roost_tls_failures_total",
			"Connections that ended with a fatal TLS alert, while shaking hands or later, by the alert and by who sent it, server or client.",
			func(s *Stats) (all []labelled) {
				for k, n := range s.TLSFailures {
					all = append(all, labelled{[]string{k.Alert, k.From}, n})
				}
				return all
			}),
		histogram("roost_tls_handshake_duration_seconds",
			"Time from accept until a TLS handshake was done, for those that ended well. To the millisecond.",
			func(s *Stats) *Histogram { return &s.TLSTimes }),
	}
}

// adminFamilies are the metrics of the log, alerts and the admin server.
func adminFamilies() []family {
	return []family{
		counter("roost_log_lines_dropped_total",
			"Log lines left out because they were not read in time.",
			func(s *Stats) float64 { return float64(s.LogLinesDropped) }),
		counter("roost_alerts_dropped_total",
			"Alerts that could not be posted.",
			func(s *Stats) float64 { return float64(s.AlertsDropped) }),
		gauge("roost_admin_connections",
			"Connections to the admin server now. There are 64 at most.",
			func(s *Stats) float64 { return float64(s.AdminConnections) }),
		counter("roost_admin_connections_evicted_total",
			"Connections to the admin server that were closed to make room for others.",
			func(s *Stats) float64 { return float64(s.AdminEvicted) }),
		counterBy("code", "roost_publish_requests_total",
			"Requests to POST /publish of the admin server, by status.",
			func(s *Stats) map[string]uint64 { return s.PublishRequests }),
		counterBy("kind", "roost_publish_publications_total",
			"Publications over POST /publish, by kind: notifications for a user, a group or everyone, disconnect commands, and changes of groups.",
			func(s *Stats) map[string]uint64 { return s.PublishedOverHTTP }),
		counter("roost_publish_repeats_total",
			"Requests to POST /publish that were published before, or a part of them, by a request with the same Idempotency-Key: that is not published again.",
			func(s *Stats) float64 { return float64(s.PublishRepeats) }),
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
