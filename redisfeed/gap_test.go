package redisfeed

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"roost/redisfeed/internal/boottime"
	"roost/redisfeed/internal/topology"
	"roost/redisfeed/publish"
	"roost/redisfeed/redistest"
)

// lostLink is a link to a Redis of a kind, on which all that was sent until an boottime.Instant is known to have come.
func lostLink(cfg Config, proven boottime.Instant) *link {
	cfg.HeartbeatTimeout = 8 * time.Second
	return &link{cfg: cfg, proven: proven}
}

// A gap begins no later than 8 s before the loss is noticed, and no later than what is known to have come.
func TestLostSince(t *testing.T) {
	t.Parallel()
	cluster := Config{Config: publish.Config{Nodes: []string{"a:1"}}}
	for _, tt := range []struct {
		name   string
		cfg    Config
		proven time.Duration // before now
		want   time.Duration
	}{
		{"just now", Config{}, time.Second, 8 * time.Second},
		{"a link that hung", Config{}, 9 * time.Second, 9 * time.Second},
		{"a process that stood still", Config{}, time.Minute, time.Minute},
		{"a node that hung, and may have had something from another", cluster, 9 * time.Second, 17 * time.Second},
	} {
		now := boottime.Now()
		since := lostLink(tt.cfg, now.Add(-tt.proven)).lostSince()
		if since < now.Add(-tt.want) || since > boottime.Now().Add(-tt.want) {
			t.Errorf("%s: since %s ago, want %s", tt.name, time.Duration(now-since), tt.want)
		}
	}
}

// A gap that was not told yet merges with the next one, and the earlier beginning counts. Where the next link is to another Redis,
// backends may have published there since it was last certain that the first was the master.
func TestGapsMerge(t *testing.T) {
	t.Parallel()
	now := boottime.Now()
	ago := func(d time.Duration) boottime.Instant { return now.Add(-d) }
	sentinels := Config{Config: publish.Config{Sentinels: []string{"s:1"}}}
	lost := func(addr string, proven, named time.Duration) *target {
		return newTarget(topology.Master{Addr: addr}, lostLink(sentinels, ago(proven)), ago(named))
	}
	for _, tt := range []struct {
		name string
		lost []*target
		next string
		want time.Duration
	}{
		{"one", []*target{lost("a", 20*time.Second, time.Second)}, "a", 20 * time.Second},
		{"two, the first untold", []*target{lost("a", 30*time.Second, 0), lost("a", 20*time.Second, 0)}, "a", 30 * time.Second},
		{"two, the second longer", []*target{lost("a", 20*time.Second, 0), lost("a", 30*time.Second, 0)}, "a", 30 * time.Second},
		{"a failover", []*target{lost("a", 20*time.Second, 2*time.Second)}, "b", 20 * time.Second},
		{"a failover that others knew of long before", []*target{lost("a", 20*time.Second, 50*time.Second)}, "b", 58 * time.Second},
		{"the same, of the first of two", []*target{lost("a", 20*time.Second, 50*time.Second), lost("b", 9*time.Second, 0)}, "b", 58 * time.Second},
	} {
		var g gap
		for _, l := range tt.lost {
			g.begin(l)
		}
		if got := time.Duration(now - g.end(tt.next)); (got - tt.want).Abs() > time.Second {
			t.Errorf("%s: since %s ago, want %s", tt.name, got, tt.want)
		}
		if g != (gap{}) {
			t.Errorf("%s: %+v is left", tt.name, g)
		}
	}
}

// gate is a sink that stands still while it is closed: as with a process that is stopped, nothing is read from Redis.
type gate struct {
	*traffic
	mu sync.Mutex
}

func (g *gate) Deliver(user, payload string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.traffic.Deliver(user, payload)
}

// Redis cuts off a feed that reads nothing. The feed notices much later, when it has read what had come before. The gap that it
// tells covers the losses of that time.
func TestGapOfAFeedThatStoodStill(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for the heartbeat, twice")
	}
	limit := []string{"--client-output-buffer-limit", "pubsub 1mb 1mb 0"}
	for name, mode := range map[string]Mode{"pattern": Pattern, "user": PerUser, "sharded": Sharded} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var cfg Config
			var servers []*redistest.Server
			var publish func(ctx context.Context, user, payload string) error
			if mode == Sharded {
				c := redistest.StartCluster(t, redistest.ClusterOptions{NoReplicas: true, Args: limit})
				cfg, servers, publish = sharded(c), c.Masters(), spublish(t, c)
			} else {
				server := redistest.Start(t, limit...)
				cfg, servers, publish = quick(server.Addr()), []*redistest.Server{server}, publishTo(t, server)
			}
			cfg.Mode = mode
			cfg.HeartbeatTimeout = silence
			g := &gate{traffic: newTraffic(60)}
			g.watch(&cfg)
			feed := connected(t, cfg, g)
			for _, user := range g.users {
				join(t, feed.Feed, user)
			}
			g.begin(publish)
			g.waitForMore(t, 300)
			g.mu.Lock()
			open := sync.OnceFunc(g.mu.Unlock)
			t.Cleanup(open)
			closed := time.Now()
			filler := strings.Repeat("x", 64<<10)
			redistest.WaitFor(t, "every link to be cut", func() bool {
				for _, user := range g.users {
					_ = publish(t.Context(), user, filler)
				}
				return allCut(t, servers, mode)
			})
			redistest.WaitFor(t, "the timeout to pass", func() bool { return time.Since(closed) > 2*cfg.HeartbeatTimeout })
			open()
			redistest.WaitFor(t, "a new link", func() bool { s := feed.Status(); return s.Connected && s.Gaps > 0 })
			if mode != Pattern {
				allHeard(t, feed, g.traffic)
			}
			g.waitForMore(t, 300)
			r := g.end(t)
			t.Logf("%+v", r)
			if r.twice > 0 || r.untold > 0 || r.never == 0 {
				t.Errorf("%+v", r)
			}
		})
	}
}

// allCut reports whether each server has cut all who were subscribed to users.
func allCut(t *testing.T, servers []*redistest.Server, mode Mode) bool {
	t.Helper()
	for _, server := range servers {
		clients, err := server.Client().Do(t.Context(), "CLIENT", "LIST", "TYPE", "pubsub").Text()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(strings.TrimSpace(clients)) {
			if mode != Sharded || !strings.Contains(line, " ssub=0 ") {
				return false
			}
		}
	}
	return true
}
