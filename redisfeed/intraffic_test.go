package redisfeed

import (
	"context"
	"testing"

	"roost/redisfeed/redistest"
)

// modes are those that a plain PUBLISH is for.
var modes = map[string]Mode{"pattern": Pattern, "user": PerUser}

// publishTo is how a backend publishes that knows one server.
func publishTo(server *redistest.Server) func(ctx context.Context, user, payload string) error {
	client := server.Client()
	return func(ctx context.Context, user, payload string) error {
		return client.Publish(ctx, ChannelPrefix+user, payload).Err()
	}
}

// follows runs a feed with traffic to 60 users.
func follows(t *testing.T, cfg Config, mode Mode, publish func(context.Context, string, string) error) (*running, *traffic) {
	t.Helper()
	tr := newTraffic(60)
	cfg.Mode = mode
	tr.watch(&cfg)
	feed := connected(t, cfg, tr)
	for _, user := range tr.users {
		join(t, feed.Feed, user)
	}
	tr.begin(publish)
	tr.waitForMore(t, 300)
	return feed, tr
}

// Redis is killed in the middle of the traffic, and started again.
func TestRestartInTraffic(t *testing.T) {
	t.Parallel()
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			feed, tr := follows(t, quick(server.Addr()), mode, publishTo(server))
			server.Kill()
			waitFor(t, "the link to be lost", func() bool { return !feed.Status().Connected })
			server.Restart()
			tr.waitForMore(t, 600)
			r := tr.end(t)
			if wantWhole(t, r); r.reordered > 0 || feed.Status().Gaps != 1 {
				t.Errorf("%+v, status %+v", r, feed.Status())
			}
		})
	}
}

// A master that sentinels watch is killed, and its replica takes over.
func TestSentinelFailoverInTraffic(t *testing.T) {
	t.Parallel()
	trio := redistest.StartTrio(t, nil)
	old, next := publishTo(trio.Master), publishTo(trio.Replica)
	feed, tr := follows(t, watching(trio), PerUser, func(ctx context.Context, user, payload string) error {
		if err := old(ctx, user, payload); err == nil {
			return nil
		}
		return next(ctx, user, payload) // also while it is a replica still, which nobody listens to yet
	})
	trio.Master.Kill()
	waitFor(t, "the feed to be on the other", func() bool {
		s := feed.Status()
		return s.Connected && s.Gaps == 1 && s.Audience == Audience{Heard: len(tr.users)}
	})
	tr.waitForMore(t, 300)
	wantWhole(t, tr.end(t))
}

// A plain PUBLISH on a cluster reaches all nodes; the one that the feed reads from is killed.
func TestClusterNodeKilledInTraffic(t *testing.T) {
	t.Parallel()
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := redistest.StartCluster(t, redistest.ClusterOptions{})
			cfg := quick("")
			cfg.Nodes = c.Addrs()
			replica := c.ReplicaOf(c.Masters()[0])
			feed, tr := follows(t, cfg, mode, publishTo(replica)) // which no feed reads from
			var read *redistest.Server
			for _, server := range c.Masters() {
				if server.Addr() == feed.target.Load().addr {
					read = server
				}
			}
			if read == nil {
				t.Fatalf("the feed reads from %s, which is no master", feed.target.Load().addr)
			}
			// Nothing is under way: one node may have what another gets a moment later, and then it comes twice.
			tr.hold()
			waitFor(t, "everything to have come", tr.allCame)
			read.Kill()
			tr.goOn()
			waitFor(t, "the feed to be on another", func() bool {
				s := feed.Status()
				return s.Connected && s.Gaps == 1 && s.Ping > 0
			})
			tr.waitForMore(t, 300)
			wantWhole(t, tr.end(t))
		})
	}
}
