package redisfeed

import (
	"context"
	"crypto/tls"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"roost/redisfeed/internal/topology"
	"roost/redisfeed/publish"
	"roost/redisfeed/redistest"
)

// sharded is quick for a cluster's sharded channels.
func sharded(c *redistest.Cluster) Config {
	cfg := quick("")
	cfg.Nodes, cfg.Mode = c.Addrs(), Sharded
	return cfg
}

// spublish is how a backend publishes that does not try again by itself: what was tried twice may come twice.
func spublish(t *testing.T, c *redistest.Cluster) func(ctx context.Context, user, payload string) error {
	options := *c.Client().Options()
	options.MaxRedirects = -1
	client := redis.NewClusterClient(&options)
	t.Cleanup(func() { _ = client.Close() })
	return func(ctx context.Context, user, payload string) error {
		return client.SPublish(ctx, publish.ChannelPrefix+user, payload).Err()
	}
}

// flowing runs a feed with traffic to 60 users of all shards.
func flowing(t *testing.T, c *redistest.Cluster) (*running, *traffic) {
	t.Helper()
	return follows(t, noticing(sharded(c)), Sharded, spublish(t, c))
}

// wantWhole fails unless all came in time, once, or in a gap that was told. The order is Redis's: a publisher that does
// not know of a failover yet and asks the old master, a replica now, has what it publishes come by way of that.
func wantWhole(t *testing.T, r tally) {
	t.Helper()
	t.Logf("%+v", r)
	if r.twice > 0 || r.untold > 0 || r.late > 0 {
		t.Errorf("%+v", r)
	}
}

func TestSharded(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.ClusterOptions{})
	c.KeepRoles()
	feed, tr := follows(t, sharded(c), Sharded, spublish(t, c)) // no master hangs: a busy machine may be silent for long
	for _, user := range tr.users {
		if slot, want := topology.Slot(publish.ChannelPrefix, user), c.Slot(publish.ChannelPrefix+user); int(slot) != want {
			t.Fatalf("%s has slot %d, want %d", user, slot, want)
		}
	}
	if n, err := feed.Publish(t.Context(), "user0", "not a number"); err != nil || n != 1 {
		t.Errorf("published to %d: %v", n, err)
	}
	r := tr.end(t)
	if wantWhole(t, r); r.never > 0 || r.reordered > 0 {
		t.Errorf("%d never came, %d in another order", r.never, r.reordered)
	}
	for _, user := range tr.users {
		feed.Release(user)
	}
	if s := feed.Status(); s.Users.Subscribed != len(tr.users) || s.Gaps != 0 {
		t.Errorf("status %+v", s)
	}
}

// A master is killed in the middle of the traffic, and later comes back as a replica.
func TestShardedSurvivesAKilledMaster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.ClusterOptions{})
	feed, tr := flowing(t, c)
	master := c.OwnerOf(publish.ChannelPrefix + tr.users[0])
	replica := c.ReplicaOf(master)
	master.Kill()
	c.AwaitMaster(replica)
	allHeard(t, feed, tr)
	master.Restart()
	c.AwaitReplica(master)
	tr.waitForMore(t, 300)
	wantWhole(t, tr.end(t))
	if s := feed.Status(); s.Gaps == 0 {
		t.Errorf("no gap is counted: %+v", s)
	}
}

// The same with one that only stands still, until it finds that it is none any more.
func TestShardedSurvivesAHungMaster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.ClusterOptions{})
	feed, tr := flowing(t, c)
	master := c.OwnerOf(publish.ChannelPrefix + tr.users[0])
	replica := c.ReplicaOf(master)
	// Nothing is under way in it: what it had told its publisher and its replica of, but not us, would come late, and
	// what it had told us of and its replica not yet, twice.
	tr.hold()
	redistest.WaitFor(t, "everything to have come", tr.allCame)
	master.Pause()
	tr.goOn()
	c.AwaitMaster(replica)
	redistest.WaitFor(t, "the feed to be subscribed at the new master", func() bool {
		channel := publish.ChannelPrefix + tr.users[0]
		n, err := replica.Client().PubSubShardNumSub(context.Background(), channel).Result()
		return err == nil && n[channel] == 1
	})
	allHeard(t, feed, tr)
	// Until it has heard of what happened it takes what is published, which then comes behind what is published later.
	tr.hold()
	master.Resume()
	c.AwaitReplica(master)
	tr.goOn()
	tr.waitForMore(t, 300)
	wantWhole(t, tr.end(t))
}

// An operator has a replica take over.
func TestShardedFailoverOnDemand(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.ClusterOptions{})
	feed, tr := flowing(t, c)
	c.Failover(c.ReplicaOf(c.OwnerOf(publish.ChannelPrefix + tr.users[0])))
	allHeard(t, feed, tr)
	tr.waitForMore(t, 300)
	wantWhole(t, tr.end(t))
}

// Slots are moved from master to master.
func TestShardedFollowsSlots(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.ClusterOptions{})
	feed, tr := flowing(t, c)
	for _, user := range tr.users[:10] {
		slot := c.Slot(publish.ChannelPrefix + user)
		for _, to := range c.Masters() {
			if to != c.Owner(slot) {
				c.MoveSlot(slot, to)
				break
			}
		}
	}
	allHeard(t, feed, tr)
	tr.waitForMore(t, 300)
	wantWhole(t, tr.end(t))
}

// A shard that is lost for good takes its users with it, and nobody else's.
func TestShardedLivesWithoutAShard(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.ClusterOptions{NoReplicas: true, Args: []string{"--cluster-require-full-coverage", "no"}})
	c.KeepRoles()
	tr := newTraffic(30)
	cfg := sharded(c)
	tr.watch(&cfg)
	feed := connected(t, cfg, tr)
	for _, user := range tr.users {
		join(t, feed.Feed, user)
	}
	master := c.OwnerOf(publish.ChannelPrefix + tr.users[0])
	for _, m := range c.Masters() { // one from which the feed does not read what is for everybody
		if m.Addr() != feed.target.Load().Addr {
			master = m
		}
	}
	theirs := 0
	var other string
	for _, user := range tr.users {
		if c.OwnerOf(publish.ChannelPrefix+user) == master {
			theirs++
		} else {
			other = user
		}
	}
	master.Kill()
	redistest.WaitFor(t, "its users to be unsubscribed", func() bool { return feed.Status().Users.Unsubscribed == theirs })
	c.SPublish(publish.ChannelPrefix+other, "7")
	redistest.WaitFor(t, "a notification for another", func() bool { return tr.received() == 1 })
	since := time.Now()
	redistest.WaitFor(t, "some attempts", func() bool { return time.Since(since) > time.Second })
	if s := feed.Status(); s.Users.Subscribed != len(tr.users)-theirs || s.Gaps != 1 {
		t.Errorf("status %+v", s)
	}
	master.Restart()
	redistest.WaitFor(t, "all to be subscribed again", func() bool { return feed.Status().Users.Subscribed == len(tr.users) })
}

// A user who comes and goes while a shard is away is kept once.
func TestShardedKeepsUnplacedUsersOnce(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.ClusterOptions{NoReplicas: true, Args: []string{"--cluster-require-full-coverage", "no"}})
	c.KeepRoles()
	cfg := sharded(c)
	cfg.UnsubscribeDelay = -1
	feed := connected(t, cfg, &collector{})
	c.OwnerOf(publish.ChannelPrefix + "alice").Kill()
	for range 50 {
		feed.Acquire("alice", make(awaited, 1))
		feed.Release("alice")
		redistest.WaitFor(t, "alice to be forgotten", func() bool { return feed.Status().Users == Users{} })
		feed.Acquire("bob", make(awaited, 1))
		feed.Release("bob")
	}
	feed.Acquire("alice", make(awaited, 1))
	redistest.WaitFor(t, "no more than two unplaced users", func() bool {
		feed.manager.turn.Lock()
		defer feed.manager.turn.Unlock()
		return len(feed.manager.shards.unplaced) <= 2 && feed.Status().Users.Unsubscribed == 1
	})
}

func allHeard(t *testing.T, feed *running, tr *traffic) {
	t.Helper()
	redistest.WaitFor(t, "all to be subscribed", func() bool { return feed.Status().Users == Users{Subscribed: len(tr.users)} })
}

// Every link and every pool speaks TLS, to nodes found through others too.
func TestShardedOverTLS(t *testing.T) {
	t.Parallel()
	ours := redistest.NewAuthority(t)
	c := redistest.StartCluster(t, redistest.ClusterOptions{
		NoReplicas: true, TLS: &redistest.TLS{Authority: ours, Shown: ours.Issue("127.0.0.1"), Clients: true},
	})
	c.KeepRoles()
	cfg := sharded(c)
	cfg.Nodes = cfg.Nodes[:1]
	cfg.TLS = &tls.Config{RootCAs: ours.Roots(), Certificates: pair(t, ours.Issue("roost"))}
	var sink collector
	feed := connected(t, cfg, &sink)
	for _, user := range []string{"a", "b", "c", "d", "e", "f"} {
		join(t, feed.Feed, user)
		if n, err := feed.Publish(t.Context(), user, "x"); n != 1 || err != nil {
			t.Errorf("published to %d: %v", n, err)
		}
		redistest.WaitFor(t, "the notification", func() bool { return sink.has(notification{user, "x"}) })
	}
}

// A shard that is away is one gap, however often it is tried to reach it, and whoever comes meanwhile.
func TestShardedCountsAnOutageOnce(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.ClusterOptions{NoReplicas: true})
	c.KeepRoles()
	feed := connected(t, sharded(c), &collector{})
	user := "alice"
	for c.OwnerOf(publish.ChannelPrefix+user).Addr() == feed.target.Load().Addr { // which would be another gap
		user += "+"
	}
	join(t, feed.Feed, user)
	master := c.OwnerOf(publish.ChannelPrefix + user)
	master.Kill()
	redistest.WaitFor(t, "the user to be unsubscribed", func() bool { return feed.Status().Users == Users{Unsubscribed: 1} })
	for i := range 4 { // each waits until an attempt has failed
		join(t, feed.Feed, fmt.Sprintf("{%s%s}%d", publish.ChannelPrefix, user, i)) // of the same slot
	}
	master.Restart()
	redistest.WaitFor(t, "all to be subscribed", func() bool { return feed.Status().Users == Users{Subscribed: 5} })
	s := feed.Status()
	if gaps := s.Gaps - s.Reconnects; gaps != 1 { // by chance the feed's own link was to the same node
		t.Errorf("%d gaps, want 1", gaps)
	}
}

// The slot of a channel for more than one user may be of a shard that is away: other shards take its publishes, too.
func TestPublishGoesByAnotherNode(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.ClusterOptions{NoReplicas: true})
	c.KeepRoles()
	var sink collector
	feed := connected(t, sharded(c), &sink)
	c.OwnerOf(publish.AllChannel).Kill()
	publisher := must(publish.New(sharded(c).Config))
	defer publisher.Close()
	redistest.WaitFor(t, "the feed to read from a node that runs", func() bool { return feed.Status().Connected && feed.Status().Ping > 0 })
	for range 20 {
		if _, err := publisher.PublishAll(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
	}
}
