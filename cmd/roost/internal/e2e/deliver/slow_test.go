package deliver

import (
	"fmt"
	"strings"
	"testing"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

// TestSlowConsumer has a client that never reads, on the same user as one that does, and beside another user.
func TestSlowConsumer(t *testing.T) {
	t.Parallel()
	const queueBytes = 256 << 10
	redis, server := e2e.Start(t, roosttest.Env{"WS_QUEUE_BYTES": fmt.Sprint(queueBytes), "WS_WRITE_WAIT": "5m"}) // it stays for as long as the test needs
	fast, other := server.Connect("alice"), server.Connect("bob")
	slow := server.DialBuffered(4096)
	slow.MustUpgrade(roosttest.Token(t, "alice"))

	// Batches that fit the queue of whoever reads: it is empty again before the next one comes.
	const batches, batch = 20, 100
	padding := strings.Repeat("x", 1<<10)
	for i := range batches {
		var some []string
		for n := range batch {
			some = append(some, fmt.Sprintf(`{"type":"n","payload":[%d,"%s"]}`, i*batch+n, padding))
		}
		e2e.NotifyAll(t, redis, "alice", some)
		e2e.Notify(redis, "bob", e2e.Numbered(i))
		if got := fast.WaitMessages((i + 1) * batch); len(got) != (i+1)*batch {
			t.Fatalf("the fast connection got %d messages after %d", len(got), (i+1)*batch)
		}
		other.WaitMessages(i + 1)
		if i%(batches/3) == 0 { // new numbers are there once a second
			e2e.CheckBalanceNow(t, server.Metrics())
		}
	}

	const total = batches * batch
	const accepted = 2*total + batches // twice for alice, once for bob
	metrics := server.Metrics()
	full := metrics[`roost_deliveries_failed_total{reason="queue_full"}`] + metrics[`roost_deliveries_failed_total{reason="slow_consumer"}`]
	sent, waiting := metrics["roost_deliveries_sent_total"], metrics["roost_deliveries_waiting"]
	if bytes := metrics["roost_queued_bytes"]; bytes > queueBytes || bytes < queueBytes*3/4 || waiting < queueBytes*3/4/1300 || metrics["roost_deliveries_accepted_total"] != accepted || sent+full+waiting != accepted {
		t.Errorf("accepted %v, sent %v, failed %v, waiting %v", metrics["roost_deliveries_accepted_total"], sent, full, waiting)
	}
	// The bytes that the kernel took before it noticed are bounded by TCP_NOTSENT_LOWAT and the client's own buffer: 150 KB,
	// to be generous.
	if took := sent - total - batches; took > 150 || full < total-waiting-150 {
		t.Errorf("of %d the kernel took %v and %v were dropped", total, took, full)
	}
	// It is called slow once something has waited for a second.
	const dropped, slowly = "no room for a notification, it was dropped", "slow consumer: no room for a notification, it was dropped"
	var warnings []roosttest.Line
	roosttest.WaitFor(t, "a warning", func() bool {
		warnings = append(server.Log.Find(dropped, "user_id", "alice"), server.Log.Find(slowly, "user_id", "alice")...)
		return len(warnings) > 0
	})
	if len(warnings) > 60 || len(warnings) > int(full)/10 {
		t.Errorf("%d warnings about %v dropped notifications", len(warnings), full)
	}

	_ = slow.Close()
	server.WaitMetric("roost_deliveries_waiting", 0)
	metrics = server.Metrics()
	checkBalance(t, metrics, accepted)
	if got := metrics[`roost_deliveries_failed_total{reason="connection_closed"}`]; got != waiting {
		t.Errorf("%v failed because the connection ended, want the %v that waited", got, waiting)
	}
	if got := jsonMetrics(t, server); got != [3]int{total + batches, int(sent), int(full + waiting)} {
		t.Errorf("received, sent, failed are %v in JSON", got)
	}
}

// TestSlowConsumerCatchesUp has the queue written out in order once the client reads again.
func TestSlowConsumerCatchesUp(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, roosttest.Env{"WS_QUEUE_MESSAGES": "10000", "WS_WRITE_WAIT": "5m"}) // on a busy machine they take longer than a second
	client := server.DialBuffered(4096)
	client.MustUpgrade(roosttest.Token(t, "alice"))
	padding := strings.Repeat("x", 2<<10)
	const total = 1500 // 3 MB: less than WS_QUEUE_BYTES
	var all []string
	for n := range total {
		all = append(all, fmt.Sprintf(`{"type":"n","payload":[%d,"%s"]}`, n, padding))
	}
	e2e.NotifyAll(t, redis, "alice", all)
	server.WaitMetric("roost_deliveries_accepted_total", total)
	if waiting := server.Metrics()["roost_deliveries_waiting"]; waiting == 0 {
		t.Error("nothing waits for a client that does not read")
	}
	client.Send(roosttest.ClientFrame(9, "ping")) // its pong goes between two messages
	for n, pongs := 0, 0; n < total || pongs < 1; {
		opcode, payload := client.Frame()
		if opcode == 10 && string(payload) == "ping" {
			pongs++
			continue
		}
		if want := fmt.Sprintf(`{"type":"n","payload":[%d,`, n); !strings.HasPrefix(string(payload), want) {
			t.Fatalf("message %d is %.60q", n, payload)
		}
		n++
	}
	server.WaitMetric("roost_deliveries_sent_total", total)
	checkBalance(t, server.Metrics(), total)
}
