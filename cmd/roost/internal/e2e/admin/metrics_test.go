package admin

import (
	"strings"
	"testing"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

// TestMetricsOfALife follows a few connections from their handshake to their end through the numbers.
func TestMetricsOfALife(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, nil)
	leaves, vanishes, shown := server.Connect("alice"), server.Connect("bob"), server.Connect("carol")
	for i, c := range []*roosttest.Client{leaves, vanishes, shown} {
		user := [3]string{"alice", "bob", "carol"}[i]
		for n := range 5 {
			e2e.Notify(redis, user, e2e.Numbered(n))
		}
		c.WaitMessages(5)
	}
	server.WaitMetric("roost_deliveries_sent_total", 15)
	m := server.Metrics()
	if n, sum := m["roost_delivery_duration_seconds_count"], m["roost_delivery_duration_seconds_sum"]; n != 15 || sum <= 0 || sum > 15*roosttest.Limit.Seconds() {
		t.Errorf("%v deliveries took %v s in all, want 15", n, sum)
	}
	if n := m[`roost_delivery_duration_seconds_bucket{le="+Inf"}`]; n != 15 {
		t.Errorf("%v deliveries are in buckets", n)
	}
	if n := m["roost_handshake_duration_seconds_count"]; n != 3 {
		t.Errorf("%v handshakes are timed, want 3", n)
	}
	if busy := m.Sum("roost_loop_busy_seconds_total"); busy <= 0 || m["roost_feed_busy_seconds_total"] <= 0 {
		t.Errorf("the loops were busy for %v s, the feed for %v", busy, m["roost_feed_busy_seconds_total"])
	}
	for _, loop := range []string{"0", "1"} {
		if _, is := m[`roost_mailbox_items{loop="`+loop+`"}`]; !is {
			t.Errorf("no mailbox of loop %s", loop)
		}
	}
	if limit := m["roost_connections_limit"]; limit < 100 {
		t.Errorf("the limit is %v", limit)
	}

	leaves.SendClose(1000, "")
	leaves.WaitClose()
	vanishes.Close()
	redis.Publish("user_ctl:carol", `{"disconnect":{"code":4321}}`)
	shown.WaitClose()
	server.WaitMetric("roost_connections", 0)
	roosttest.WaitFor(t, "three ends to be counted", func() bool {
		m = server.Metrics()
		return m.Sum("roost_connections_closed_total") == 3 && m.Sum("roost_connections_closed_by_code_total") == 3
	})
	for code, want := range map[string]float64{"1000": 1, "1006": 1, "4xxx": 1, "1001": 0, "3xxx": 0} {
		if got := m[`roost_connections_closed_by_code_total{code="`+code+`"}`]; got != want {
			t.Errorf("%v were closed with %s, want %v", got, code, want)
		}
	}
	for name := range m {
		if strings.Contains(name, "4321") {
			t.Errorf("a backend's own code is a label: %s", name)
		}
	}
}
