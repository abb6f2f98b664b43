package redisfeed

import (
	"fmt"
	"testing"
	"time"

	"roost/redisfeed/redistest"
)

// Users of all shards are written, a shard's to its new master when the old one is gone, and taken out in the end.
func TestPresenceInACluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.ClusterOptions{})
	cfg := quick("")
	cfg.Nodes, cfg.MaxRetries = c.Addrs(), 3 // one that asks chooses a node by chance
	var users []string
	for i := range 60 {
		users = append(users, fmt.Sprint("user", i))
	}
	one := startInstance(t, cfg, 10*time.Second)
	one.set(1, users...)
	online := func() (n int) {
		for _, instances := range instancesOf(t, cfg, users...) {
			n += instances
		}
		return n
	}
	waitFor(t, "all to be online", func() bool { return online() == len(users) })
	master := c.OwnerOf(OnlinePrefix + users[0])
	replica := c.ReplicaOf(master)
	master.Kill()
	c.AwaitMaster(replica)
	// A replica has what its master had; who comes and goes from now on shows that it is written to.
	one.set(0, users...)
	waitFor(t, "all to be offline", func() bool { return online() == 0 })
	one.set(2, users...)
	waitFor(t, "all to be online again", func() bool { return online() == len(users) })
	one.end()
	if n := online(); n != 0 {
		t.Errorf("%d are online, and nobody is there", n)
	}
}
