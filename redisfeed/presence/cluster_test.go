package presence

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"roost/redisfeed/publish"
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
	asks := must(publish.New(cfg))
	defer asks.Close()
	online := func() (n int) {
		instances, err := Online(t.Context(), asks, users)
		if err != nil {
			return -1 // one node was asked that is gone: the next question goes to others
		}
		for _, on := range instances {
			n += on
		}
		return n
	}
	redistest.WaitFor(t, "all to be online", func() bool { return online() == len(users) })
	master := c.OwnerOf(OnlinePrefix + users[0])
	replica := c.ReplicaOf(master)
	master.Kill()
	c.AwaitMaster(replica)
	c.KeepRoles() // another failover could bring back who has gone
	// A replica has what its master had; who comes and goes from now on shows that it is written to.
	one.set(0, users...)
	redistest.WaitFor(t, "all to be offline", func() bool { return online() == 0 })
	one.set(2, users...)
	redistest.WaitFor(t, "all to be online again", func() bool { return online() == len(users) })
	one.end()
	redistest.WaitFor(t, "nobody to be online", func() bool { return online() == 0 })
}

// A Redis that is one of a cluster says so in its own words: ours name the variable.
func TestErrorsNameREDISCLUSTER(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.ClusterOptions{NoReplicas: true})
	var log redistest.Log
	cfg := quick(c.Addrs()[0])
	cfg.Logger = log.Logger()
	startInstance(t, cfg, time.Minute).set(1, "a", "b", "c", "d", "e", "f", "g", "h")
	redistest.WaitFor(t, "the reason in the log", func() bool {
		return strings.Contains(log.String(), "this Redis is one of a cluster (REDIS_CLUSTER has to be true)")
	})
}
