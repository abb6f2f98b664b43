package deliver

import (
	"strings"
	"testing"

	"roost/cmd/roost/internal/e2e"
)

func TestBadNotificationsAreCountedAndSkipped(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, nil)
	alice := server.Connect("alice")
	tests := []struct{ reason, published string }{
		{"invalid_json", `{"type":"a","payload":`},
		{"invalid_json", ``},
		{"invalid_json", `{"type":"a"} trailing`},
		{"invalid_utf8", "{\"type\":\"a\",\"payload\":\"\xff\"}"},
		{"not_an_object", `["type","a"]`},
		{"not_an_object", `"type"`},
		{"type_missing", `{"payload":1}`},
		{"type_missing", `{"Type":"a","payload":1}`},
		{"type_not_a_string", `{"type":7,"payload":1}`},
		{"type_not_a_string", `{"type":null,"payload":1}`},
		{"type_reserved", `{"type":"_gap","payload":{"reason":"redis","since":"2026-01-02T03:04:05.678Z"}}`},
		{"type_reserved", `{"type":"\u005fgap"}`},
		{"too_big", `{"type":"a","payload":"` + strings.Repeat("x", 65536) + `"}`},
	}
	counts := map[string]float64{}
	for i, test := range tests {
		e2e.Notify(redis, "alice", test.published)
		e2e.Notify(redis, "alice", e2e.Numbered(i))
		counts[test.reason]++
		if got := alice.WaitMessages(i + 1); len(got) != i+1 || !strings.HasPrefix(got[i], `{"type":"n"`) {
			t.Fatalf("after %q alice got %q", test.published, got[i:])
		}
	}
	metrics := server.Metrics()
	for reason, want := range counts {
		if got := metrics[`roost_notifications_invalid_total{reason="`+reason+`"}`]; got != want {
			t.Errorf("%s is counted %v times, want %v", reason, got, want)
		}
	}
	if got := metrics["roost_notifications_received_total"]; got != float64(2*len(tests)) {
		t.Errorf("%v received, want %d", got, 2*len(tests))
	}
	server.WaitLine("notification skipped", "reason", "invalid_json", "user_id", "alice")
	redis.Publish("user_noti_all", `{"type":"_resumed"}`) // nor to many
	server.WaitMetric(`roost_notifications_invalid_total{reason="type_reserved"}`, 3)
	if alice.Ended() {
		t.Error("alice was disconnected")
	}
}

func TestBadNotificationsDoNotFloodTheLog(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, nil)
	alice := server.Connect("alice")
	many := make([]string, 2000)
	for i := range many {
		many[i] = "nonsense"
	}
	e2e.NotifyAll(t, redis, "alice", append(many, e2e.Numbered(1)))
	alice.WaitMessages(1)
	if got := server.Metrics()[`roost_notifications_invalid_total{reason="invalid_json"}`]; got != float64(len(many)) {
		t.Errorf("%v are counted, want %d", got, len(many))
	}
	server.Stop() // lines are gathered before they are written, and now they all are
	if n := len(server.Log.Find("notification skipped")); n < 1 || n > 40 {
		t.Errorf("%d lines about %d bad notifications", n, len(many))
	}
}
