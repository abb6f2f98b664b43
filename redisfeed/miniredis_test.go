package redisfeed

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// The demo runs on miniredis.
func TestFeedOnMiniredis(t *testing.T) {
	t.Parallel()
	server := miniredis.NewMiniRedis()
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	var sink collector
	cfg := quick(server.Addr())
	feed := connected(t, cfg, &sink)
	waitFor(t, "a ping", func() bool { return feed.Status().Ping > 0 })
	for _, user := range []string{"alice", "a:b", "\x01probe"} {
		if n, err := feed.Publish(t.Context(), user, "x"); err != nil || n != 1 {
			t.Fatalf("publish for %q: %d receivers, %v", user, n, err)
		}
		waitFor(t, "the notification", func() bool { return sink.has(notification{user, "x"}) })
	}

	server.Close()
	waitFor(t, "the loss to be noticed", func() bool { return !feed.Status().Connected })
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	feed.waitConnected(t)
	if s := feed.Status(); s.Gaps != 1 {
		t.Errorf("status %+v", s)
	}
}

func TestPasswordOnMiniredis(t *testing.T) {
	t.Parallel()
	server := miniredis.NewMiniRedis()
	server.RequireAuth("secret") // before Start: its HELLO reads the passwords without a lock
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	cfg := quick(server.Addr())
	cfg.MaxAttempts = 1
	if err := run(t, cfg, &collector{}).wait(t); !errors.Is(err, ErrAuth) {
		t.Errorf("without a password: %v", err)
	}
	cfg.Password = "secret"
	connected(t, cfg, &collector{})
}

func TestPresenceOnMiniredis(t *testing.T) {
	t.Parallel()
	server := miniredis.NewMiniRedis()
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	cfg := quick(server.Addr())
	client := redis.NewClient(baseOptions(cfg))
	defer client.Close()
	told := client.Subscribe(t.Context(), PresenceChannel)
	defer told.Close()
	if _, err := told.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantEvent := func(want event) {
		t.Helper()
		m, err := told.ReceiveMessage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got event
		if err := json.Unmarshal([]byte(m.Payload), &got); err != nil || got != want {
			t.Errorf("told %q (%v), want %v", m.Payload, err, want)
		}
	}
	one := startInstance(t, cfg, time.Minute)
	one.set(1, "a/b")
	wantEvent(event{"a/b", true})
	if ttl := client.PTTL(t.Context(), OnlinePrefix+"a/b").Val(); ttl < 50*time.Second || ttl > time.Minute {
		t.Errorf("TTL %s", ttl)
	}
	waitInstances(t, cfg, "a/b", 1)
	one.set(0, "a/b")
	wantEvent(event{"a/b", false})
	waitInstances(t, cfg, "a/b", 0)
}
