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
	server := miniredis.RunT(t)
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

// Dead instances are reported on the Redis of the demo, too.
func TestListsOnMiniredis(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	cfg := quick(server.Addr())
	dead, lives := newKeeper(t, nil, cfg), newKeeper(t, nil, cfg)
	dead.writes(1, "alice", "bob")
	lives.writes(1, "bob")
	if _, err := server.ZAdd(InstancesKey, 1, dead.id); err != nil {
		t.Fatal(err)
	}
	lives.looks()
	if alice, bob := lives.out.of("alice"), lives.out.of("bob"); alice != "-" || bob != "+" {
		t.Errorf("events %q and %q", alice, bob)
	}
	lives.leave()
	lives.Retire(t.Context())
	if keys := server.Keys(); len(keys) > 0 {
		t.Errorf("keys %q are left", keys)
	}
}
