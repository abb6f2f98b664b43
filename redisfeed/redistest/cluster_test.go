package redistest

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// listen subscribes to a sharded channel at a node, and waits until that has been confirmed.
func listen(t *testing.T, s *Server, channel string) *redis.PubSub {
	t.Helper()
	sub := s.Client().SSubscribe(context.Background(), channel)
	t.Cleanup(func() { _ = sub.Close() })
	if _, err := sub.ReceiveTimeout(context.Background(), startLimit); err != nil {
		t.Fatalf("ssubscribe to %q at %s: %v", channel, s.Addr(), err)
	}
	return sub
}

// hears fails the test unless the next thing to arrive is a message with the payload.
func hears(t *testing.T, sub *redis.PubSub, payload string) {
	t.Helper()
	got, err := sub.ReceiveTimeout(context.Background(), startLimit)
	if m, ok := got.(*redis.Message); err != nil || !ok || m.Payload != payload {
		t.Fatalf("received %v (%v), not %q", got, err, payload)
	}
}

func TestClusterPublishes(t *testing.T) {
	t.Parallel()
	began := time.Now()
	c := StartCluster(t, ClusterOptions{})
	t.Logf("started in %s", time.Since(began))
	if n := len(c.Masters()); n != clusterMasters {
		t.Errorf("%d masters", n)
	}
	for _, s := range c.Nodes() {
		if err := c.isToldBy(s); err != nil {
			t.Error(err)
		}
	}
	for i, channel := range []string{"foo", "bar", "hello"} { // each of another master
		owner := c.OwnerOf(channel)
		replica := c.ReplicaOf(owner)
		if c.MasterOf(replica) != owner || owner == replica {
			t.Errorf("%d: %s is no replica of %s", i, replica.Addr(), owner.Addr())
		}
		atOwner, atReplica := listen(t, owner, channel), listen(t, replica, channel)
		if n := c.SPublish(channel, "x"); n != 1 {
			t.Errorf("%s: %d receivers", channel, n)
		}
		hears(t, atOwner, "x")
		hears(t, atReplica, "x")
	}
}

func TestClusterFailsOver(t *testing.T) {
	t.Parallel()
	c := StartCluster(t, ClusterOptions{})
	master := c.OwnerOf("channel")
	replica := c.ReplicaOf(master)
	if err := c.Client().SPublish(context.Background(), "channel", "before").Err(); err != nil {
		t.Error(err)
	}
	master.Kill()
	began := time.Now()
	c.AwaitHealthy() // which it isn't while the others have not noticed
	t.Logf("failed over in %s", time.Since(began))
	if c.OwnerOf("channel") != replica {
		t.Error("the replica does not own the slots")
	}
	sub := listen(t, replica, "channel")
	c.SPublish("channel", "after")
	hears(t, sub, "after")
	await(t, "the client to find the new master", func() error {
		return c.Client().SPublish(context.Background(), "channel", "by the client").Err()
	})
	hears(t, sub, "by the client")

	master.Restart()
	c.AwaitReplica(master)
	c.AwaitHealthy()
	c.Failover(master)
	if c.OwnerOf("channel") != master || c.MasterOf(replica) != master {
		t.Error("not handed back")
	}
	c.AwaitHealthy()
}

func TestClusterNoticesAStoppedMaster(t *testing.T) {
	t.Parallel()
	c := StartCluster(t, ClusterOptions{})
	master := c.Masters()[0]
	replica := c.ReplicaOf(master)
	master.Pause()
	c.AwaitMaster(replica)
	master.Resume()
	c.AwaitReplica(master)
	c.AwaitHealthy()
}

func TestClusterMovesASlot(t *testing.T) {
	t.Parallel()
	c := StartCluster(t, ClusterOptions{NoReplicas: true})
	slot := c.Slot("channel")
	from := c.Owner(slot)
	to := c.Masters()[0]
	if to == from {
		to = c.Masters()[1]
	}
	if opened := c.OpenSlot(slot, to); opened != from || c.Owner(slot) != from {
		t.Error("a slot that is on its way is no longer the old owner's")
	}
	c.MoveSlot(slot, to)
	if c.OwnerOf("channel") != to {
		t.Error("not moved")
	}
	sub := listen(t, to, "channel")
	c.SPublish("channel", "moved")
	hears(t, sub, "moved")
	c.MoveSlot(slot, from)
	c.AwaitHealthy()
	from.Kill()
	if c.healthy() == nil {
		t.Error("healthy without the owner of the slot")
	}
}

func TestClusterSpeaksTLS(t *testing.T) {
	t.Parallel()
	a := NewAuthority(t)
	c := StartCluster(t, ClusterOptions{NoReplicas: true, TLS: &TLS{Authority: a, Shown: a.Issue(host), Clients: true}})
	sub := listen(t, c.OwnerOf("channel"), "channel")
	c.SPublish("channel", "secret")
	hears(t, sub, "secret")
}

func TestClusterNodesAreRead(t *testing.T) {
	t.Parallel()
	const text = `aaa 127.0.0.1:7002@17002 slave,fail? bbb 1 2 3 disconnected
bbb 127.0.0.1:7001@17001,name myself,master - 0 0 1 connected 0-5 7 9-10 [93-<-ccc]
`
	v, err := parseClusterNodes(text)
	if err != nil || len(v) != 2 {
		t.Fatalf("%+v, %v", v, err)
	}
	master, replica := &v[0], &v[1]
	if master.id != "bbb" || !master.isMaster() || !master.trusted() {
		t.Errorf("master %+v", master)
	}
	if replica.addr != "127.0.0.1:7002" || v.byID(replica.master) != master || replica.isMaster() || replica.trusted() {
		t.Errorf("replica %+v", replica)
	}
	for slot, owned := range map[int]bool{0: true, 5: true, 6: false, 7: true, 8: false, 10: true, 93: false} {
		if (v.owner(slot) == master) != owned {
			t.Errorf("slot %d: owned %v", slot, !owned)
		}
	}
	for _, bad := range []string{"x", "a b:1@2 master - 0 0 1 connected five"} {
		if _, err := parseClusterNodes(bad); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
}
