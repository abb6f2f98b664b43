package main

import (
	"fmt"
	"os"
	"testing"

	"github.com/redis/go-redis/v9"

	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// The tests of this package run the program as it is delivered, against a real redis-server and real sockets, and
// know nothing of its inside. Each has servers of its own, on free ports.
func TestMain(m *testing.M) { os.Exit(roosttest.Main(m)) }

// start starts a Redis and a server on it.
func start(t *testing.T, env roosttest.Env) (*redistest.Server, *roosttest.Server) {
	t.Helper()
	redis := redistest.Start(t)
	return redis, roosttest.Start(t, redis, env)
}

// notify publishes a notification as a backend does.
func notify(redis *redistest.Server, user, notification string) {
	redis.Publish("user_noti:"+user, notification)
}

// numbered is the nth of many notifications.
func numbered(n int) string { return fmt.Sprintf(`{"type":"n","payload":%d}`, n) }

// notifyAll publishes many in one go.
func notifyAll(t *testing.T, server *redistest.Server, user string, notifications []string) {
	t.Helper()
	_, err := server.Client().Pipelined(t.Context(), func(pipe redis.Pipeliner) error {
		for _, n := range notifications {
			pipe.Publish(t.Context(), "user_noti:"+user, n)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("publishing: %v", err)
	}
}
