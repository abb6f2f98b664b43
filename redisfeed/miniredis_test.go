package redisfeed

import (
	"errors"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"roost/redisfeed/redistest"
)

// The demo runs on miniredis.
func TestFeedOnMiniredis(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	var sink collector
	cfg := quick(server.Addr())
	feed := connected(t, cfg, &sink)
	redistest.WaitFor(t, "a ping", func() bool { return feed.Status().Ping > 0 })
	for _, user := range []string{"alice", "a:b", "\x01probe"} {
		if n, err := feed.Publish(t.Context(), user, "x"); err != nil || n != 1 {
			t.Fatalf("publish for %q: %d receivers, %v", user, n, err)
		}
		redistest.WaitFor(t, "the notification", func() bool { return sink.has(notification{user, "x"}) })
	}

	server.Close()
	redistest.WaitFor(t, "the loss to be noticed", func() bool { return !feed.Status().Connected })
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
