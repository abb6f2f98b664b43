package httpapi

import (
	"compress/gzip"
	"io"
	"reflect"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/procfs"
)

func TestMetricsJSON(t *testing.T) {
	t.Parallel()
	started := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := newServer(t, Config{Started: started})
	got := string(marshal(s.metrics(&snapshot{at: started.Add(time.Hour), stats: someStats()})))
	want := `{"service":"websocket-service","timestamp":"2026-01-02T04:04:05.000Z","uptime_seconds":3600,` +
		`"connections":{"active":3,"total_unique_users":2},` +
		`"messages":{"received_from_redis":20,"sent_to_clients":30,"failed":63}}` + "\n"
	if got != want {
		t.Errorf("\ngot  %s\nwant %s", got, want)
	}
	if served := decode(t, ask(s, "GET", "/metrics", "Accept", "application/json")); served["service"] != "websocket-service" {
		t.Errorf("served %v", served)
	}
}

func TestCollector(t *testing.T) {
	t.Parallel()
	reads := 0
	c := newCollector(func() Stats { reads++; return someStats() }, someCounters, newMachine(procfs.DefaultMountPoint))
	const want = `
# HELP roost_connections_refused_total Connections that were not admitted, by reason.
# TYPE roost_connections_refused_total counter
roost_connections_refused_total{reason="full"} 11
roost_connections_refused_total{reason="token_expired"} 12
# HELP roost_delivery_duration_seconds Time of sent notifications from the read from Redis that brought them until the kernel had taken their last byte for a connection. One for everyone or a group counts from its turn at the connection.
# TYPE roost_delivery_duration_seconds histogram
roost_delivery_duration_seconds_bucket{le="0.001"} 1
roost_delivery_duration_seconds_bucket{le="0.25"} 3
roost_delivery_duration_seconds_bucket{le="+Inf"} 6
roost_delivery_duration_seconds_sum 7
roost_delivery_duration_seconds_count 6
# HELP roost_loop_busy_seconds_total Time that an event loop was not asleep. A rate of 1 is all of a loop. The feed's writes for sleeping loops count in roost_feed_busy_seconds_total.
# TYPE roost_loop_busy_seconds_total counter
roost_loop_busy_seconds_total{loop="0"} 0.5
roost_loop_busy_seconds_total{loop="1"} 2
# HELP roost_deliveries_failed_total Deliveries that were given up, by reason.
# TYPE roost_deliveries_failed_total counter
roost_deliveries_failed_total{reason="gone"} 32
roost_deliveries_failed_total{reason="queue_full"} 31
# HELP roost_deliveries_waiting Deliveries neither sent nor given up yet.
# TYPE roost_deliveries_waiting gauge
roost_deliveries_waiting 48
# HELP roost_redis_ping_seconds Last round trip through Redis.
# TYPE roost_redis_ping_seconds gauge
roost_redis_ping_seconds 0.0015
# HELP roost_redis_up 1 while the subscription to Redis works, else 0.
# TYPE roost_redis_up gauge
roost_redis_up 1
# HELP roost_pings_sent_total Pings sent to clients.
# TYPE roost_pings_sent_total counter
roost_pings_sent_total 42
# HELP roost_pending_handshakes Sockets.
# TYPE roost_pending_handshakes gauge
roost_pending_handshakes 7
`
	err := testutil.CollectAndCompare(c, strings.NewReader(want), "roost_connections_refused_total", "roost_deliveries_failed_total",
		"roost_deliveries_waiting", "roost_redis_ping_seconds", "roost_redis_up", "roost_delivery_duration_seconds", "roost_loop_busy_seconds_total", "roost_pings_sent_total", "roost_pending_handshakes")
	if err != nil {
		t.Error(err)
	}
	if reads != 1 {
		t.Errorf("%d readings for one scrape: its numbers need not agree", reads)
	}
}

// Names, units and help are as the Prometheus project asks for.
func TestLint(t *testing.T) {
	t.Parallel()
	problems, err := testutil.CollectAndLint(newCollector(someStats, someCounters, newMachine(procfs.DefaultMountPoint)))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// No field of Stats is forgotten in the table, and none is in it twice; Counters are described by those who count.
func TestTableNamesEveryField(t *testing.T) {
	t.Parallel()
	fields := reflect.TypeFor[Stats]()
	if n := len(table()); n != fields.NumField()-1 {
		t.Errorf("%d metrics for %d fields", n, fields.NumField()-1)
	}
	for i := range fields.NumField() {
		if fields.Field(i).Name == "Counters" {
			continue
		}
		var s Stats
		set(reflect.ValueOf(&s).Elem().Field(i))
		var named []string
		for _, m := range table() {
			if m.reads(&s) {
				named = append(named, m.name)
			}
		}
		if len(named) != 1 {
			t.Errorf("%s is in %q", fields.Field(i).Name, named)
		}
	}
}

// reads reports whether a metric has something to say.
func (m *family) reads(s *Stats) bool {
	switch {
	case m.value != nil:
		return m.value(s) != 0
	case m.values != nil:
		return len(m.values(s)) > 0
	case m.times != nil:
		return len(m.times(s)) > 0
	case m.counts != nil:
		return len(m.counts(s)) > 0
	case m.loops != nil:
		return len(m.loops(s)) > 0
	}
	return len(m.histogram(s).Counts) > 0
}

// set gives a field any value but its zero.
func set(v reflect.Value) {
	switch v.Kind() {
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
	case reflect.Struct:
		set(v.FieldByName("Counts"))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.Zero(v.Type().Key()), reflect.Zero(v.Type().Elem()))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint64:
		v.SetUint(1)
	default:
		v.SetInt(1)
	}
}

func TestKindsFollowNames(t *testing.T) {
	t.Parallel()
	for _, m := range table() {
		if m.histogram == nil && strings.HasSuffix(m.name, "_total") != (m.kind == prometheus.CounterValue) {
			t.Errorf("%s is of kind %d", m.name, m.kind)
		}
	}
}

func TestPrometheusText(t *testing.T) {
	t.Parallel()
	body := text(t, serve(t, Config{Version: "v1.2.3", Revision: "abc"}, "GET", "/metrics", "Accept", "text/plain;version=0.0.4").Body)
	for _, want := range []string{
		"\nroost_connections 3\n",
		"\nroost_build_info{goversion=\"" + runtime.Version() + "\",revision=\"abc\",version=\"v1.2.3\"} 1\n",
		"\ngo_goroutines ", "\nprocess_open_fds ", "\nprocess_resident_memory_bytes ",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q", want)
		}
	}
	for _, m := range table() {
		if n := len(regexp.MustCompile(`(?m)^# TYPE `+m.name+` `).FindAllString(body, -1)); n != 1 {
			t.Errorf("%s is there %d times", m.name, n)
		}
	}
}

func TestOpenMetricsAndCompression(t *testing.T) {
	t.Parallel()
	resp := serve(t, Config{}, "GET", "/metrics", "Accept", "application/openmetrics-text;version=1.0.0", "Accept-Encoding", "gzip")
	unzipped, err := gzip.NewReader(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if body := text(t, unzipped); !strings.HasSuffix(body, "# EOF\n") || !strings.Contains(body, "\nroost_pings_sent_total 42.0\n") {
		t.Errorf("got %q", body)
	}
	if kind := resp.Header.Get("Content-Type"); !strings.HasPrefix(kind, "application/openmetrics-text") {
		t.Errorf("type %s", kind)
	}
}

func text(t *testing.T, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Servers of one process do not share a registry.
func TestNoGlobalState(t *testing.T) {
	t.Parallel()
	for range 2 {
		if status := serve(t, Config{}, "GET", "/metrics?format=prometheus").StatusCode; status != 200 {
			t.Errorf("status %d", status)
		}
	}
}
