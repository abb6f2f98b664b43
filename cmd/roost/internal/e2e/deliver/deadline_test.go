package deliver

import (
	"slices"
	"strings"
	"testing"
	"time"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

func TestPingAndPongWait(t *testing.T) {
	t.Parallel()
	roosttest.WaitWithin(t, 4*roosttest.Limit, "a time in which this test does not stand still", func() bool { return testPingAndPongWait(t) })
}

// testPingAndPongWait returns false where the test stood still, and so can't tell who is to be disconnected.
func testPingAndPongWait(t *testing.T) bool {
	const pongWait = 6 * time.Second
	redis, server := e2e.Start(t, roosttest.Env{"WS_PING_INTERVAL": "200ms", "WS_PONG_WAIT": pongWait.String()})
	answering := server.Connect("answering")
	sent := time.Now()
	talking := server.ConnectWith(roosttest.Token(t, "talking"), roosttest.Dial{Mute: true})
	mute := server.ConnectWith(roosttest.Token(t, "mute"), roosttest.Dial{Mute: true})
	connected := time.Now()

	// The others were there before the mute one, and so have stayed for longer when that has ended.
	for !mute.Ended() && time.Since(connected) < roosttest.Limit {
		roosttest.Elapse(pongWait/10, pongWait/10, func() {})
		if time.Since(sent) > pongWait/2 {
			return false
		}
		talking.Send("no pong, but a frame")
		sent = time.Now()
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
	roosttest.WaitFor(t, "the talking client to be notified", func() bool { return len(talking.Messages()) == 1 || talking.Ended() })
	got := server.Metrics()[`roost_connections_closed_total{reason="pong_timeout"}`]
	if time.Since(sent) > pongWait/2 {
		return false
	}
	if got != 1 || talking.Ended() {
		t.Errorf("%v connections ended by WS_PONG_WAIT, want 1", got)
	}
	return true
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
	e2e.NotifyAll(t, redis, "alice", slices.Repeat([]string{large}, total))
	server.WaitLine("disconnected", "user_id", "alice", "reason", "write_timeout", "user_connections", 1.0)
	if got := fast.WaitMessages(total); len(got) != total {
		t.Errorf("the other connection got %d messages", len(got))
	}
	server.WaitMetric("roost_deliveries_waiting", 0)
	metrics := server.Metrics()
	if got := metrics[`roost_connections_closed_total{reason="write_timeout"}`]; got != 1 {
		t.Errorf("%v connections ended by WS_WRITE_WAIT, want 1", got)
	}
	if got := metrics[`roost_deliveries_failed_total{reason="connection_closed"}`]; got < 1 {
		t.Error("what waited for the connection is not counted as failed")
	}
	accepted := metrics["roost_deliveries_accepted_total"] // less where the server gets the last of it when the stuck one has ended
	if accepted <= total || accepted > 2*total {
		t.Errorf("%v are accepted, want %d", accepted, 2*total)
	}
	checkBalance(t, metrics, accepted)
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
	roosttest.WaitWithin(t, 4*roosttest.Limit, "a time in which this test does not stand still", func() bool { return testSlowIsNotStuck(t) })
}

// testSlowIsNotStuck returns false where the test got no processor for so long that it may be disconnected.
func testSlowIsNotStuck(t *testing.T) bool {
	const wait = 6 * time.Second
	redis, server := e2e.Start(t, roosttest.Env{"WS_WRITE_WAIT": wait.String()})
	slow := server.DialBuffered(4096)
	slow.MustUpgrade(roosttest.Token(t, "alice"))
	large := `{"type":"large","payload":"` + strings.Repeat("x", 8<<10) + `"}`
	const total = 40
	begun := time.Now()
	e2e.NotifyAll(t, redis, "alice", slices.Repeat([]string{large}, total))
	// It takes a little all the time, and so stays longer than WS_WRITE_WAIT.
	for read, last := 0, begun; read < total; read++ {
		if time.Since(begun) < wait*3/2 {
			roosttest.Elapse(wait/20, wait/20, func() {})
		}
		if time.Since(last) > wait/2 {
			return false
		}
		slow.Frame()
		last = time.Now()
	}
	server.WaitMetric("roost_deliveries_sent_total", total)
	checkBalance(t, server.Metrics(), total)
	return true
}
