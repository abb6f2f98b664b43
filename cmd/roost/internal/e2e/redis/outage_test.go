package redis

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

func TestRedisKilledAndStartedAgain(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, nil)
	clients := []*roosttest.Client{server.Connect("alice"), server.Connect("alice"), server.Connect("bob")}
	want := 0
	for round := range 3 {
		for n := range 50 {
			e2e.Notify(redis, "alice", e2e.Numbered(n))
			e2e.Notify(redis, "bob", e2e.Numbered(n))
		}
		redis.Kill() // what is still in its buffers is lost
		health := e2e.WaitHealth(t, server, http.StatusServiceUnavailable, "degraded")
		if health.Redis.Status != "disconnected" || health.Redis.Error == "" || health.Redis.PingMS != nil {
			t.Errorf("round %d: redis is said to be %+v", round, health.Redis)
		}
		if up := server.Metrics()["roost_redis_up"]; up != 0 {
			t.Errorf("roost_redis_up is %v", up)
		}
		server.Connect("carol").Close() // clients can still come
		redis.Restart()
		e2e.WaitHealth(t, server, http.StatusOK, "healthy")
		marker := `{"type":"marker","payload":` + strings.Repeat("1", round+1) + `}`
		e2e.Notify(redis, "alice", marker)
		e2e.Notify(redis, "bob", marker)
		want++
		for i, c := range clients {
			roosttest.WaitFor(t, "delivery to work again", func() bool { return markers(c) == want })
			if c.Ended() {
				t.Fatalf("connection %d ended", i)
			}
		}
	}
	if got := server.Metrics()["roost_redis_reconnects_total"]; got != 3 {
		t.Errorf("%v reconnects are counted, want 3", got)
	}
}

// markers counts the notifications that came after a restart, each once.
func markers(c *roosttest.Client) int {
	n := 0
	for _, message := range c.Messages() {
		if strings.HasPrefix(message, `{"type":"marker"`) {
			n++
		}
	}
	return n
}

func TestRedisAbsentAtTheStart(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	redis.Kill()
	server := roosttest.Launch(t, redis, nil)
	health := e2e.WaitHealth(t, server, http.StatusServiceUnavailable, "degraded")
	if health.Redis.Status != "disconnected" || health.Redis.Error == "" {
		t.Errorf("redis is said to be %+v", health.Redis)
	}
	alice := server.Connect("alice")
	redis.Restart()
	e2e.WaitHealth(t, server, http.StatusOK, "healthy")
	e2e.Notify(redis, "alice", e2e.Numbered(1))
	alice.WaitMessages(1)
}

func TestRedisHangs(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, nil)
	alice := server.Connect("alice")
	roosttest.WaitFor(t, "a ping", func() bool { h := server.Health(false); return h.Redis.PingMS != nil && *h.Redis.PingMS > 0 })
	redis.Pause()
	e2e.WaitHealth(t, server, http.StatusServiceUnavailable, "degraded")
	if said := server.WaitLine("redis link lost").Text("error"); !strings.Contains(said, "nothing came from redis for 8s") {
		t.Errorf("the log says %q: within 10 s is promised", said)
	}
	redis.Resume()
	e2e.WaitHealth(t, server, http.StatusOK, "healthy")
	e2e.Notify(redis, "alice", e2e.Numbered(1))
	alice.WaitMessages(1)
}

// TestGapNotice has Redis go and come back: who was connected is told since when something may be missing.
func TestGapNotice(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, roosttest.Env{"WS_GAP_NOTICE": "true"})
	client := server.Connect("alice")
	before := time.Now()
	redis.Kill()
	gone := time.Now()
	server.WaitLine("redis link lost")
	redis.Restart()
	got := client.WaitMessages(1)
	var notice struct {
		Type    string
		Payload struct {
			Reason string
			Since  time.Time
		}
	}
	if err := json.Unmarshal([]byte(got[0]), &notice); err != nil || notice.Type != "_gap" || notice.Payload.Reason != "redis" {
		t.Fatalf("got %q, %v", got[0], err)
	}
	if since := notice.Payload.Since; since.After(gone) || before.Sub(since) > 10*time.Second {
		t.Errorf("since %s, Redis went between %s and %s", since, before, gone)
	}
	e2e.Notify(redis, "alice", e2e.Numbered(1))
	if got := client.WaitMessages(2); !strings.HasPrefix(got[1], `{"type":"n"`) {
		t.Errorf("then came %q", got[1])
	}
	server.WaitMetric("roost_gap_notices_total", 1)
}

func TestRedisGoneForGood(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, roosttest.Env{"REDIS_FEED_MAX_ATTEMPTS": "3", "REDIS_FEED_RETRY_DELAY": "100ms"})
	clients := []*roosttest.Client{server.Connect("alice"), server.Connect("alice"), server.Connect("bob")}
	redis.Kill()
	for _, c := range clients {
		if code, text := c.WaitClose(); code != 1001 || text == "" {
			t.Errorf("closed with %d %q, want 1001", code, text)
		}
	}
	if code := server.Wait(); code != 1 {
		t.Errorf("ended with %d, want 1", code)
	}
	line := server.WaitLine("the service can't go on")
	if line.Text("level") != "CRITICAL" || !strings.Contains(line.Text("error"), "Redis") {
		t.Errorf("the line is %v", line)
	}
	if n := len(server.Log.Find("disconnected", "reason", "restart")); n != len(clients) {
		t.Errorf("%d connections are logged as ended by the restart, want %d", n, len(clients))
	}
	if got := server.Stderr.String(); got != "" {
		t.Errorf("standard error: %s", got)
	}
}

func TestRedisNeverThere(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	redis.Kill()
	server := roosttest.Launch(t, redis, roosttest.Env{"REDIS_FEED_MAX_ATTEMPTS": "2", "REDIS_FEED_RETRY_DELAY": "50ms"})
	if code := server.Wait(); code != 1 {
		t.Errorf("ended with %d, want 1", code)
	}
	server.WaitLine("the service can't go on", "level", "CRITICAL")
}

// TestEarlyClientsHearOrAreTold has clients come while the way to Redis is not there yet. Each gets everything published
// for it from its 101 on, or is told that something may be missing.
func TestEarlyClientsHearOrAreTold(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	relay := roosttest.StartRelay(t, "") // which hangs up
	server := roosttest.Launch(t, roosttest.RedisAt(relay.Addr), roosttest.Env{"WS_GAP_NOTICE": "true"})
	server.WaitLine("redis cannot be reached")
	const clients = 20
	backend := redis.Client()
	early, upgraded := make([]*roosttest.Raw, clients), make(chan error, clients)
	for i := range early {
		user, raw := fmt.Sprint("user", i), server.Dial()
		early[i] = raw
		go func() {
			err := raw.Upgrade(roosttest.Token(t, user))
			if err == nil {
				err = backend.Publish(t.Context(), "user_noti:"+user, e2e.Numbered(i)).Err()
			}
			upgraded <- err
		}()
	}
	relay.TurnTo(redis.Addr())
	for range early {
		if err := <-upgraded; err != nil {
			t.Fatal(err)
		}
	}
	for i, raw := range early {
		_, payload := raw.Frame()
		if !strings.Contains(string(payload), `"_gap"`) && !strings.HasPrefix(string(payload), `{"type":"n"`) {
			t.Errorf("client %d got %q", i, payload)
		}
	}
	t.Logf("%v were told", server.Metrics()["roost_gap_notices_total"])
}
