package presence

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

func TestPresenceOnMiniredis(t *testing.T) {
	t.Parallel()
	server := miniredis.NewMiniRedis()
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	cfg := quick(server.Addr())
	client := redis.NewClient(cfg.Options())
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
