package redisfeed

import (
	"testing"
	"time"

	"roost/redisfeed/redistest"
)

// Wherever Run stands when its context ends, it returns nil at once. TestMain sees to the goroutines.
func TestRunEnds(t *testing.T) {
	t.Parallel()
	// Waits long enough to be noticed, if one of them were waited for.
	slow := func(addr string) Config {
		cfg := quick(addr)
		cfg.MinIdleConns = 3
		cfg.MaxRetries = 3
		cfg.RetryDelay, cfg.HeartbeatInterval, cfg.HeartbeatTimeout = time.Hour, 50*time.Second, time.Minute
		return cfg
	}
	tests := []struct {
		name  string
		start func(t *testing.T) *running
	}{
		{"in read", func(t *testing.T) *running {
			return connected(t, slow(redistest.Start(t).Addr()), &collector{})
		}},
		{"while Redis hangs", func(t *testing.T) *running {
			server := redistest.Start(t)
			feed := connected(t, slow(server.Addr()), &collector{})
			redistest.WaitFor(t, "a heartbeat", func() bool { return feed.Status().Ping > 0 })
			server.Pause()
			feed.beat.soon() // now its publisher waits too
			redistest.WaitFor(t, "the heartbeat to begin", func() bool { return len(feed.beat.connected) == 0 })
			return feed
		}},
		{"in connect", func(t *testing.T) *running { return run(t, slow(redistest.Listen(t)), &collector{}) }},
		{"between attempts", func(t *testing.T) *running {
			server := redistest.Start(t)
			server.Kill()
			feed := run(t, slow(server.Addr()), &collector{})
			redistest.WaitFor(t, "an attempt", func() bool { return feed.Status().Attempts > 0 })
			return feed
		}},
		{"before it began", func(t *testing.T) *running { return run(t, slow("127.0.0.1:1"), &collector{}) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			feed := tt.start(t)
			start := time.Now()
			feed.cancel()
			if err := feed.wait(t); err != nil {
				t.Errorf("Run: %v", err)
			}
			if took := time.Since(start); took > 30*time.Second { // a heartbeat alone would be tried for 50 s
				t.Errorf("Run took %s to return", took)
			}
		})
	}
}
