package httpapi

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.uber.org/goleak"

	"roost/internal/metric"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// soon is long enough for anything that happens at all, on a busy machine too.
const soon = time.Minute

// someStats has a different number in every field.
func someStats() Stats {
	return Stats{
		Connections: 3, Users: 2,
		ConnectionsAccepted: 10, ConnectionsRefused: map[string]uint64{"full": 11, "token_expired": 12},
		ConnectionsClosed:     map[string]uint64{"client_left": 13},
		NotificationsReceived: 20, NotificationsOffline: 21, NotificationsUnnamed: 26, NotificationsInvalid: map[string]uint64{"type": 22},
		TokenRenewals: map[string]uint64{"renewed": 26}, Commands: 23, CommandsInvalid: 24, GroupChanges: map[string]uint64{"joined": 25},
		Broadcasts: 52, GroupNotifications: 53, GroupsOffline: 54, BroadcastsWaiting: 55, BroadcastBytes: 560, BroadcastsDropped: map[string]uint64{"queue_full": 56}, BroadcastTime: 57 * time.Second,
		ResumeWindow: 40 * time.Second, ResumeWindowWanted: 120 * time.Second, ResumeBytes: 61, ResumeRoom: 62, Resumes: map[string]uint64{"resumed": 63}, ReplaysSkipped: map[string]uint64{"expired": 64},
		DeliveriesAccepted: 141, DeliveriesSent: 30, DeliveriesFailed: map[string]uint64{"queue_full": 31, "gone": 32},
		DeliveriesWaiting: 48, DeliveriesUnacked: map[string]uint64{"pong_timeout": 58}, BytesUnacked: map[string]uint64{"pong_timeout": 59},
		Counters:       []metric.Value{{Name: "roost_pings_sent_total", Value: 42}, {Name: "roost_pending_handshakes", Value: 7}, {Name: "undescribed", Value: 1}},
		RedisConnected: true, RedisPing: 1500 * time.Microsecond, RedisReconnects: 43, RedisGaps: 44,
		FeedUsers:      map[string]uint64{"heard": 45, "unheard": 46, "parting": 47},
		PresenceWrites: map[string]uint64{"ok": 52, "failed": 53}, PresencePending: 54, PresenceFailingFor: 55 * time.Second,
		WebhookEvents: map[string]uint64{"sent": 81, "queue_full": 82}, WebhookRequests: map[string]uint64{"ok": 83}, WebhookReported: 87, WebhookWaiting: 84, WebhookBytes: 85, WebhookFailingFor: 86 * time.Second,
		JWKSKeys: 47, JWKSLeftOut: 60, JWKSRefreshes: map[string]uint64{"ok": 48, "failed": 49},
		ConfigReloads:  map[string]uint64{"ok": 50, "failed": 51},
		Upgrades:       map[string]uint64{"handover": 1, "failed": 80},
		HandshakeTimes: Histogram{Bounds: []time.Duration{time.Second}, Counts: []uint64{1, 2}, Sum: time.Second},
		TLSConnections: map[string]uint64{"1.3": 70}, TLSHandshakes: map[TLSHandshake]uint64{{Version: "1.3", Suite: "TLS_AES_128_GCM_SHA256", Resumed: true}: 71},
		TLSFailures: map[TLSFailure]uint64{{Alert: "unknown_ca", From: "client"}: 72}, TLSTimes: Histogram{Bounds: []time.Duration{time.Second}, Counts: []uint64{1, 2}, Sum: time.Second},
		CertificateExpires: map[string]time.Duration{"http": -time.Hour},
		CertificateReloads: map[string]uint64{"ok": 52, "failed": 53},
		LogLinesDropped:    44, AlertsDropped: 45, AdminConnections: 58, AdminEvicted: 59,
		PublishRequests: map[string]uint64{"200": 60}, PublishedOverHTTP: map[string]uint64{"user": 61},
		ClosedByCode:  map[string]uint64{"1000": 46},
		DeliveryTimes: Histogram{Bounds: []time.Duration{time.Millisecond, 250 * time.Millisecond}, Counts: []uint64{1, 2, 3}, Sum: 7 * time.Second},
		LoopBusy:      []time.Duration{time.Second / 2, 2 * time.Second}, MailboxItems: []int{47, 48},
	}
}

// someCounters are those of someStats.
var someCounters = []metric.Desc{{Name: "roost_pings_sent_total", Help: "Pings sent to clients."}, {Name: "roost_pending_handshakes", Help: "Sockets."}}

// serve makes a server of cfg with someStats and answers one request.
func serve(t *testing.T, cfg Config, method, target string, headers ...string) *http.Response {
	t.Helper()
	return ask(newServer(t, cfg), method, target, headers...)
}

func newServer(t *testing.T, cfg Config) *Server {
	t.Helper()
	if cfg.Stats == nil {
		cfg.Stats, cfg.Counters = someStats, someCounters
	}
	s := New(cfg)
	t.Cleanup(s.stop)
	return s
}

func ask(s *Server, method, target string, headers ...string) *http.Response {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w.Result()
}

func decode(t *testing.T, resp *http.Response) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&m); err != nil {
		t.Fatal(err)
	}
	return m
}
