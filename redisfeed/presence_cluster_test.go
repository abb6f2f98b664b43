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
	cfg.Nodes = c.Addrs()
	var users []string
	for i := range 60 {
		users = append(users, fmt.Sprint("user", i))
	}
	one := startInstance(t, cfg, time.Minute)
	one.set(1, users...)
	asks := must(NewPublisher(cfg))
	defer asks.Close()
	online := func() (n int) {
		instances, err := asks.Online(t.Context(), users)
		if err != nil {
			return -1 // one node was asked that is gone: the next question goes to others
		}
		for _, on := range instances {
			n += on
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
	waitFor(t, "nobody to be online", func() bool { return online() == 0 })
}
