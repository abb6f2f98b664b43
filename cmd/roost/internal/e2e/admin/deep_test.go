package admin

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

func TestDeepHealth(t *testing.T) {
	t.Parallel()
	_, server := e2e.Start(t, roosttest.Env{"WS_MAX_CONNECTIONS": "1", "WS_ALLOWED_ORIGINS": "https://app.example", "WS_MODE": "debug"})
	server.Connect("alice") // and so it is full, which a deep check is not concerned with
	health := server.Health(true)
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
		steps := server.Health(true).Deep
		if steps["websocket"].Status != "ok" {
			t.Fatalf("%+v", steps)
		}
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
	before := server.Metrics()["roost_received_bytes_total"]
	first := server.Health(true)
	once := server.Metrics()["roost_received_bytes_total"] - before
	if once <= 0 || first.Code != http.StatusOK {
		t.Fatalf("a check brought %v bytes to our own port: %+v", once, first)
	}
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			response, err := http.Get("http://" + server.HTTP + "/health?deep=1")
			if err != nil {
				t.Error(err)
				return
			}
			defer response.Body.Close()
			if response.StatusCode != http.StatusOK {
				t.Error(response.Status)
			}
		})
	}
	wg.Wait()
	http.DefaultClient.CloseIdleConnections()
	// The machine may well stand still for a second or two, but not for 15.
	if sum := server.Metrics()["roost_received_bytes_total"] - before; sum > once*15 {
		t.Errorf("31 requests brought %v bytes, one brings %v", sum, once)
	}
}

func TestDeepHealthFailsInTime(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, nil)
	alice := server.Connect("alice")
	if health := server.Health(true); health.Code != http.StatusOK {
		t.Fatalf("%+v", health)
	}
	redis.Pause()
	begun := time.Now()
	var health roosttest.Health
	// The first answer may still be the one from before.
	roosttest.WaitFor(t, "the deep check to fail", func() bool {
		begun = time.Now()
		health = server.Health(true)
		return health.Code != http.StatusOK
	})
	if took := time.Since(begun); took > roosttest.Limit/2 { // httpapi's own test knows the 5 s to the instant
		t.Errorf("took %s, and has 5 s", took)
	}
	if step := health.Deep["redis_pubsub"]; health.Code != http.StatusServiceUnavailable || health.Status != "degraded" ||
		step.Status != "failed" || step.Error == "" {
		t.Errorf("%+v", health)
	}
	if step := health.Deep["websocket"]; step.Status != "ok" {
		t.Errorf("the WebSocket side is not to blame, but %+v", step)
	}
	redis.Resume()
	roosttest.WaitFor(t, "the deep check to succeed", func() bool { return server.Health(true).Code == http.StatusOK })
	e2e.Notify(redis, "alice", e2e.Numbered(1))
	if got := alice.WaitMessages(1); strings.Contains(strings.Join(got, ""), "_probe") {
		t.Errorf("alice got a probe: %q", got)
	}
}
