package deliver

import (
	"fmt"
	"strings"
	"testing"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

// A client that takes nothing, a WebSocket or an event stream, later gets the latest of one collapse key, and nothing whose ttl is
// over. All else comes, in order.
func TestTTLAndCollapse(t *testing.T) {
	t.Parallel()
	// The clients take nothing for as long as the test needs.
	redis, server := e2e.Start(t, roosttest.Env{"WS_QUEUE_MESSAGES": "10000", "WS_WRITE_WAIT": "5m"})
	socket := server.DialBuffered(4096)
	socket.MustUpgrade(roosttest.Token(t, "alice"))
	stream := server.DialBuffered(4096)
	stream.Send("GET /sse?token=" + roosttest.Token(t, "alice") + " HTTP/1.1\r\nHost: x\r\n\r\n")
	stream.ReadUntil("retry: ")
	server.WaitMetric("roost_connections", 2)

	padding := strings.Repeat("x", 2<<10)
	const fill = 1000 // 2 MB: more than the kernel takes
	var all []string
	for n := range fill {
		all = append(all, fmt.Sprintf(`{"type":"n","payload":[%d,"%s"]}`, n, padding))
	}
	e2e.NotifyAll(t, redis, "alice", all)
	server.WaitMetric("roost_deliveries_accepted_total", 2*fill)
	server.WaitMetric("roost_stalled_connections", 2)
	e2e.NotifyAll(t, redis, "alice", []string{
		`{"type":"badge","payload":1,"collapse":"badge"}`,
		`{"type":"typing","payload":"gone","ttl":0}`,
		`{"type":"badge","payload":2,"collapse":"b\u0061dge"}`,
		`{"type":"mail","payload":3,"ttl":86400}`,
		`{"type":"other","payload":4,"collapse":"other"}`,
		`{"type":"badge","payload":5,"collapse":"badge","ttl":3600}`,
		`{"type":"wrong","ttl":-1}`, `{"type":"wrong","collapse":""}`,
		`{"type":"end","payload":6}`,
	})
	redis.Publish("user_noti_all", `{"type":"last","payload":7,"collapse":"other"}`)
	server.WaitMetric("roost_deliveries_accepted_total", 2*fill+2*8)
	server.WaitMetric(`roost_deliveries_failed_total{reason="collapsed"}`, 6)

	want := []string{`"payload":3`, `"payload":5`, `"payload":6`, `"payload":7`}
	for range fill {
		socket.Frame()
	}
	for _, payload := range want {
		if _, got := socket.Frame(); !strings.Contains(string(got), payload) {
			t.Errorf("the client got %s, want %s", got, payload)
		}
	}
	text := stream.ReadUntil(`"payload":7`)
	_, text, _ = strings.Cut(text, fmt.Sprintf(`"payload":[%d,`, fill-1))
	var got []string
	for _, line := range strings.Split(text, "\n") {
		if _, rest, ok := strings.Cut(line, `"payload":`); ok {
			got = append(got, `"payload":`+rest[:1])
		}
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("the stream got %q, want %q", got, want)
	}
	server.WaitMetric("roost_deliveries_waiting", 0)
	metrics := server.Metrics()
	checkBalance(t, metrics, 2*fill+2*8)
	if n := metrics[`roost_deliveries_failed_total{reason="expired"}`]; n != 2 {
		t.Errorf("%v have expired, want 2", n)
	}
	for _, reason := range []string{"ttl_invalid", "collapse_invalid"} {
		if n := metrics[`roost_notifications_invalid_total{reason="`+reason+`"}`]; n != 1 {
			t.Errorf("%v are %s", n, reason)
		}
	}
}

// A client that comes back gets the latest of one collapse key, and nothing whose ttl is over.
func TestTTLAndCollapseWhenReplayed(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, roosttest.Env{"WS_RESUME_WINDOW": "2m"})
	alice := server.Connect("alice")
	e2e.Notify(redis, "alice", e2e.Numbered(0))
	message := alice.WaitMessages(2)[1]
	id := message[strings.Index(message, `"id":"`)+6:][:21]
	alice.Close()
	server.WaitMetric("roost_connections", 0)
	for n, more := range []string{`"collapse":"a"`, `"ttl":0`, `"collapse":"a"`, `"ttl":3600`} {
		e2e.Notify(redis, "alice", fmt.Sprintf(`{"type":"n","payload":%d,%s}`, n, more))
	}
	server.WaitMetric("roost_notifications_offline_total", 4)
	back := server.ConnectWith(roosttest.Token(t, "alice")+"&since="+id, roosttest.Dial{})
	got := back.WaitMessages(3)
	if !strings.Contains(got[0], `"resumed":{"missed":2}`) || !strings.Contains(got[1], `"payload":2`) || !strings.Contains(got[2], `"payload":3`) {
		t.Errorf("got %q", got)
	}
	metrics := server.Metrics()
	if metrics[`roost_replays_skipped_total{reason="expired"}`] != 1 || metrics[`roost_replays_skipped_total{reason="collapsed"}`] != 1 {
		t.Errorf("not as many were skipped: %v", metrics)
	}
}
