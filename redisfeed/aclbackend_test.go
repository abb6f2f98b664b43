package redisfeed

import (
	"context"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"roost/redisfeed/redistest"
)

// The line that docs/redis.md has for a backend lets it publish where the row says, and nowhere else.
func TestBackendACL(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	backend := redis.NewClient(&redis.Options{Addr: server.Addr(), Username: "backend", Password: "secret", Protocol: 2})
	defer backend.Close()
	commands := map[string]func(context.Context) error{
		"users":      func(ctx context.Context) error { return backend.Publish(ctx, "user_noti:a", "x").Err() },
		"everyone":   func(ctx context.Context) error { return backend.Publish(ctx, "user_noti_all", "x").Err() },
		"groups":     func(ctx context.Context) error { return backend.Publish(ctx, "group_noti:a", "x").Err() },
		"disconnect": func(ctx context.Context) error { return backend.Publish(ctx, "user_ctl:a", "x").Err() },
		"online":     func(ctx context.Context) error { return backend.Exists(ctx, "user_online:a").Err() },
		"presence": func(ctx context.Context) error {
			s := backend.Subscribe(ctx, "user_presence")
			defer s.Close()
			_, err := s.Receive(ctx)
			return err
		},
		"another channel": func(ctx context.Context) error { return backend.Publish(ctx, "roost:heartbeat:a", "x").Err() },
		"keys":            func(ctx context.Context) error { return backend.Set(ctx, "user_online:a", "x", 0).Err() },
	}
	may := map[string]bool{}
	for _, row := range []struct {
		who   string
		gains []string
	}{
		{"A backend that notifies users", []string{"users"}},
		{"… and everyone, and groups", []string{"everyone", "groups"}},
		{"… and disconnects users, or changes their groups", []string{"disconnect"}},
		{"… and asks who is online", []string{"online", "presence"}},
	} {
		redistest.Paste(t, server.Client(), "..", row.who)
		for _, name := range row.gains {
			may[name] = true
		}
		for name, command := range commands {
			if err := command(t.Context()); (err == nil) != may[name] || err != nil && !strings.HasPrefix(err.Error(), "NOPERM") {
				t.Errorf("%s: %s: %v", row.who, name, err)
			}
		}
	}
}

// The same on a cluster with a sharded feed.
func TestBackendACLSharded(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.ClusterOptions{NoReplicas: true})
	c.KeepRoles()
	for _, server := range clients(c) {
		redistest.Paste(t, server, "..", "… with a `sharded` feed")
	}
	backend := redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs(), Username: "backend", Password: "secret", Protocol: 2})
	defer backend.Close()
	for _, user := range []string{"a", "b", "c", "d"} { // of all shards
		if err := backend.SPublish(t.Context(), "user_noti:"+user, "x").Err(); err != nil {
			t.Error(err)
		}
	}
	if err := backend.SPublish(t.Context(), "user_ctl:a", "x").Err(); err == nil || !strings.HasPrefix(err.Error(), "NOPERM") {
		t.Errorf("a command: %v", err)
	}
}

// A database above 0 needs one permission more.
func TestDatabaseACL(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	redistest.Paste(t, server.Client(), "..", "Roost, `pattern`")
	cfg := quick(server.Addr())
	cfg.Username, cfg.Password, cfg.DB, cfg.MaxAttempts = "roost", "secret", 1, 1
	refused(t, "Run", run(t, cfg, &collector{}).wait(t), "lacks a permission", "secret")
	redistest.Paste(t, server.Client(), "..", "… with a `REDIS_DB` above 0")
	worksOver(t, cfg)
}
