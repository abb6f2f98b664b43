package deliver

import (
	"strings"
	"testing"
	"time"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

func TestPingAndPongWait(t *testing.T) {
	t.Parallel()
	const pongWait = 6 * time.Second // longer than a busy machine keeps the test from sending
	redis, server := e2e.Start(t, roosttest.Env{"WS_PING_INTERVAL": "200ms", "WS_PONG_WAIT": pongWait.String()})
	answering := server.Connect("answering")
	talking := server.ConnectWith(roosttest.Token(t, "talking"), roosttest.Dial{Mute: true})
	mute := server.ConnectWith(roosttest.Token(t, "mute"), roosttest.Dial{Mute: true})
	connected := time.Now()

	// The others were there before the mute one, and so have stayed for longer when that has ended.
	for i := 0; i < 100 && !mute.Ended(); i++ {
		roosttest.Elapse(pongWait/10, pongWait/10, func() {})
		talking.Send("no pong, but a frame")
	}
	if code, _ := mute.WaitClose(); code != 1006 {
		t.Errorf("the mute client got a close frame with %d", code)
	}
	server.WaitLine("disconnected", "user_id", "mute", "reason", "pong_timeout")
	if mute.Pings() == 0 {
		t.Error("the mute client was not pinged")
	}
	roosttest.WaitFor(t, "pings to go on", func() bool { return answering.Pings() >= 12 && talking.Pings() >= 12 })
	if took := time.Since(connected); took < 11*200*time.Millisecond {
		t.Errorf("12 pings in %s", took)
	}
	for _, user := range []string{"answering", "talking"} {
		e2e.Notify(redis, user, e2e.Numbered(1))
	}
	answering.WaitMessages(1)
	talking.WaitMessages(1)
	if got := server.Metrics()[`roost_connections_closed_total{reason="pong_timeout"}`]; got != 1 {
		t.Errorf("%v connections ended by WS_PONG_WAIT, want 1", got)
	}
}

func TestFirstPingsAreSpread(t *testing.T) {
	t.Parallel()
	const clients, interval = 40, 20 * time.Second
	_, server := e2e.Start(t, roosttest.Env{"WS_PING_INTERVAL": interval.String(), "WS_PONG_WAIT": "60s"})
	for range clients {
		server.Connect("alice")
	}
	// Had they been pinged together, no scrape would see some but not all of them, in the first round or a later one.
	roosttest.WaitFor(t, "some pings of a round, not all", func() bool {
		pings := int(server.Metrics()["roost_pings_sent_total"]) % clients
		return pings > 0 && pings < clients*3/4
	})
	server.WaitMetric("roost_connections", clients)
}

func TestWriteWait(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, roosttest.Env{"WS_WRITE_WAIT": "3s"})
	fast := server.ConnectWith(roosttest.Token(t, "alice"), roosttest.Dial{Room: 1 << 20}) // for all of it
	stuck := server.DialBuffered(4096)
	stuck.MustUpgrade(roosttest.Token(t, "alice"))

	large := `{"type":"large","payload":"` + strings.Repeat("x", 8<<10) + `"}`
	const total = 60 // 480 KB: more than the kernel takes for a client that reads nothing, less than a full queue
	for range total {
		e2e.Notify(redis, "alice", large)
	}
	server.WaitLine("disconnected", "user_id", "alice", "reason", "write_timeout", "user_connections", 1.0)
	if got := fast.WaitMessages(total); len(got) != total {
		t.Errorf("the other connection got %d messages", len(got))
	}
	metrics := server.Metrics()
	if got := metrics[`roost_connections_closed_total{reason="write_timeout"}`]; got != 1 {
		t.Errorf("%v connections ended by WS_WRITE_WAIT, want 1", got)
	}
	if got := metrics[`roost_deliveries_failed_total{reason="connection_closed"}`]; got < 1 {
		t.Error("what waited for the connection is not counted as failed")
	}
	checkBalance(t, metrics, 2*total)
}

// checkBalance checks that accepted = sent + failed, nothing waiting, and, where it is known, how many were
// accepted.
func checkBalance(t *testing.T, m roosttest.Metrics, accepted float64) {
	t.Helper()
	sent, failed, waiting := m["roost_deliveries_sent_total"], m.Sum("roost_deliveries_failed_total"), m["roost_deliveries_waiting"]
	if m["roost_deliveries_accepted_total"] != accepted || sent+failed != accepted || waiting != 0 {
		t.Errorf("accepted %v, sent %v, failed %v, waiting %v; want %v accepted and none waiting",
			m["roost_deliveries_accepted_total"], sent, failed, waiting, accepted)
	}
}

func TestSlowIsNotStuck(t *testing.T) {
	t.Parallel()
	const wait = 6 * time.Second // longer than a busy machine keeps the test from reading
	redis, server := e2e.Start(t, roosttest.Env{"WS_WRITE_WAIT": wait.String()})
	slow := server.DialBuffered(4096)
	slow.MustUpgrade(roosttest.Token(t, "alice"))
	large := `{"type":"large","payload":"` + strings.Repeat("x", 8<<10) + `"}`
	const total = 40
	for range total {
		e2e.Notify(redis, "alice", large)
	}
	// It takes a little all the time, and so stays longer than WS_WRITE_WAIT.
	read := 0
	roosttest.Elapse(wait*3/2, wait/20, func() { slow.Frame(); read++ })
	for range total - read {
		slow.Frame()
	}
	server.WaitMetric("roost_deliveries_sent_total", total)
	checkBalance(t, server.Metrics(), total)
}
