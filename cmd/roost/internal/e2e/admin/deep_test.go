package admin

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

func TestDeepHealth(t *testing.T) {
	t.Parallel()
	_, server := e2e.Start(t, roosttest.Env{"WS_MAX_CONNECTIONS": "1", "WS_ALLOWED_ORIGINS": "https://app.example", "WS_MODE": "debug"})
	server.Connect("alice") // and so it is full, which a deep check is not concerned with
	var health roosttest.Health
	roosttest.WaitFor(t, "a deep check for which the machine has the time", func() bool {
		health = server.Health(true)
		return health.Code == http.StatusOK
	})
	checkHealthy(t, health)
	for _, step := range []string{"redis_pubsub", "websocket"} {
		if got := health.Deep[step]; got.Status != "ok" || got.MS <= 0 || got.MS > 5000 || got.Error != "" {
			t.Errorf("%s: %+v", step, got)
		}
	}
	if code := server.Stop(); code != 0 {
		t.Errorf("ended with %d", code)
	}
	for _, event := range []string{"connected", "disconnected"} {
		if lines := server.Log.Find(event); len(lines) != 1 || lines[0].Text("user_id") != "alice" {
			t.Errorf("logged %v", lines)
		}
	}
}

func TestDeepHealthIsNotCounted(t *testing.T) {
	t.Parallel()
	_, server := e2e.Start(t, nil)
	for range 3 {
		e2e.WaitDeep(t, server)
	}
	metrics := server.Metrics()
	for _, name := range []string{
		"roost_connections", "roost_users", "roost_connections_accepted_total", "roost_notifications_received_total",
		"roost_notifications_offline_total", "roost_deliveries_accepted_total", "roost_deliveries_sent_total", "roost_deliveries_waiting",
	} {
		if value, there := metrics[name]; !there || value != 0 {
			t.Errorf("%s is %v", name, value)
		}
	}
	for _, name := range []string{"roost_connections_closed_total", "roost_deliveries_failed_total"} {
		if sum := metrics.Sum(name); sum != 0 {
			t.Errorf("%s is %v", name, sum)
		}
	}
}

// TestDeepHealthIsShared asks from many sides at once: one check is made for all.
func TestDeepHealthIsShared(t *testing.T) {
	t.Parallel()
	_, server := e2e.Start(t, nil)
	received := func() float64 { return server.Metrics()["roost_received_bytes_total"] }
	var before, once float64
	roosttest.WaitFor(t, "a check that goes well", func() bool {
		before = received()
		well := server.Health(true).Code == http.StatusOK
		once = received() - before
		return well
	})
	if once <= 0 {
		t.Fatalf("a check brought %v bytes to our own port", once)
	}
	roosttest.WaitFor(t, "30 that go well at once", func() bool {
		before = received()
		var wg sync.WaitGroup
		var failed atomic.Int64
		for range 30 {
			wg.Go(func() {
				response, err := http.Get("http://" + server.HTTP + "/health?deep=1")
				if err != nil {
					t.Error(err)
					return
				}
				defer response.Body.Close()
				if response.StatusCode != http.StatusOK {
					failed.Add(1)
				}
			})
		}
		wg.Wait()
		http.DefaultClient.CloseIdleConnections()
		return failed.Load() == 0 || t.Failed()
	})
	// The machine may well stand still for a second or two, but not for 15.
	if sum := received() - before; sum > once*15 {
		t.Errorf("30 requests brought %v bytes, one brings %v", sum, once)
	}
}

func TestDeepHealthFailsInTime(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, nil)
	alice := server.Connect("alice")
	e2e.WaitDeep(t, server)
	redis.Pause()
	begun := time.Now()
	var health roosttest.Health
	// The first answer may still be the one from before. The WebSocket side is not to blame.
	roosttest.WaitFor(t, "the deep check to fail, and not for the WebSocket side", func() bool {
		begun = time.Now()
		health = server.Health(true)
		return health.Code != http.StatusOK && health.Deep["websocket"].Status == "ok"
	})
	if took := time.Since(begun); took > roosttest.Limit/2 { // httpapi's own test knows the 5 s to the instant
		t.Errorf("took %s, and has 5 s", took)
	}
	if step := health.Deep["redis_pubsub"]; health.Code != http.StatusServiceUnavailable || health.Status != "degraded" ||
		step.Status != "failed" || step.Error == "" {
		t.Errorf("%+v", health)
	}
	redis.Resume()
	roosttest.WaitFor(t, "the deep check to succeed", func() bool { return server.Health(true).Code == http.StatusOK })
	e2e.Notify(redis, "alice", e2e.Numbered(1))
	if got := alice.WaitMessages(1); strings.Contains(strings.Join(got, ""), "_probe") {
		t.Errorf("alice got a probe: %q", got)
	}
}
