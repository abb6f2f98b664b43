package redisfeed

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"roost/redisfeed/publish"
	"roost/redisfeed/redistest"
)

// modes are those that a plain PUBLISH is for.
var modes = map[string]Mode{"pattern": Pattern, "user": PerUser}

// publishTo is how a backend publishes that knows one server, and does not try again by itself: what was tried twice may come
// twice.
func publishTo(t *testing.T, server *redistest.Server) func(ctx context.Context, user, payload string) error {
	t.Helper()
	options := *server.Client().Options()
	options.MaxRetries = -1
	client := redis.NewClient(&options)
	t.Cleanup(func() { _ = client.Close() })
	return func(ctx context.Context, user, payload string) error {
		return client.Publish(ctx, publish.ChannelPrefix+user, payload).Err()
	}
}

// listens runs a feed with 60 users.
func listens(t *testing.T, cfg Config, mode Mode) (*running, *traffic) {
	t.Helper()
	tr := newTraffic(60)
	cfg.Mode = mode
	tr.watch(&cfg)
	feed := connected(t, cfg, tr)
	for _, user := range tr.users {
		join(t, feed.Feed, user)
	}
	return feed, tr
}

// follows is listens with traffic.
func follows(t *testing.T, cfg Config, mode Mode, publish func(context.Context, string, string) error) (*running, *traffic) {
	t.Helper()
	feed, tr := listens(t, cfg, mode)
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
			feed, tr := follows(t, noticing(quick(server.Addr())), mode, publishTo(t, server))
			server.Kill()
			redistest.WaitFor(t, "the link to be lost", func() bool { return !feed.Status().Connected })
			server.Restart()
			tr.waitForMore(t, 600)
			r := tr.end(t)
			if wantWhole(t, r); r.reordered > 0 || feed.Status().Gaps == 0 {
				t.Errorf("%+v, status %+v", r, feed.Status())
			}
		})
	}
}

// A master that sentinels watch is killed, and its replica takes over.
func TestSentinelFailoverInTraffic(t *testing.T) {
	t.Parallel()
	trio := redistest.StartTrio(t, nil)
	old, next := publishTo(t, trio.Master), publishTo(t, trio.Replica)
	feed, tr := follows(t, noticing(watching(trio)), PerUser, func(ctx context.Context, user, payload string) error {
		if err := old(ctx, user, payload); err == nil {
			return nil
		}
		return next(ctx, user, payload) // also while it is a replica still, which nobody listens to yet
	})
	trio.Master.Kill()
	redistest.WaitFor(t, "the feed to be on the other", func() bool {
		s := feed.Status()
		return s.Connected && s.Gaps >= 1 && s.Users == Users{Subscribed: len(tr.users)}
	})
	tr.waitForMore(t, 300)
	wantWhole(t, tr.end(t))
}

// A plain PUBLISH on a cluster reaches all nodes; the one that the feed reads from is killed. Meanwhile backends publish on
// another node, and the cluster's bus carries it to the feed. The bus may lose something: a busy node loses its links for a
// moment.
func TestClusterNodeKilledInTraffic(t *testing.T) {
	t.Parallel()
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := redistest.StartCluster(t, redistest.ClusterOptions{})
			cfg := quick("")
			cfg.Nodes = c.Addrs()
			type publishes = func(ctx context.Context, user, payload string) error
			var at atomic.Pointer[publishes] // where is published
			feed, tr := listens(t, cfg, mode)
			read, others := readFrom(t, c, feed)
			toRead, toOther := publishTo(t, read), publishTo(t, others[0])
			at.Store(&toRead)
			tr.begin(func(ctx context.Context, user, payload string) error { return (*at.Load())(ctx, user, payload) })
			tr.waitForMore(t, 300)
			// Nothing is under way: what one node has another may get a moment later, and then it comes twice.
			tr.hold()
			awaitBus(t, read, others)
			read.Kill()
			at.Store(&toOther)
			tr.goOn()
			redistest.WaitFor(t, "the feed to be on another", func() bool {
				s := feed.Status()
				return s.Connected && s.Gaps >= 1 && s.Ping > 0 && (mode == Pattern || s.Users.Subscribed == len(tr.users))
			})
			tr.waitForMore(t, 300)
			r := tr.end(t)
			t.Logf("%+v", r)
			if r.twice > 0 || r.late > 0 || r.reordered > 0 {
				t.Errorf("%+v", r)
			}
		})
	}
}

// readFrom is the master that a feed reads from, and the others.
func readFrom(t *testing.T, c *redistest.Cluster, feed *running) (read *redistest.Server, others []*redistest.Server) {
	t.Helper()
	for _, server := range c.Masters() {
		if server.Addr() == feed.target.Load().Addr {
			read = server
		} else {
			others = append(others, server)
		}
	}
	if read == nil {
		t.Fatalf("the feed reads from %s, which is no master", feed.target.Load().Addr)
	}
	return read, others
}

// awaitBus waits until all that was published at one node has been at the others: the bus keeps the order.
func awaitBus(t *testing.T, from *redistest.Server, others []*redistest.Server) {
	t.Helper()
	for _, other := range others {
		sub := other.Client().Subscribe(t.Context(), "marker")
		if _, err := sub.Receive(t.Context()); err != nil {
			t.Fatal(err)
		}
		redistest.WaitFor(t, "a marker to go round", func() bool {
			from.Publish("marker", "x")
			_, err := sub.ReceiveTimeout(t.Context(), 100*time.Millisecond)
			return err == nil
		})
		_ = sub.Close()
	}
}
