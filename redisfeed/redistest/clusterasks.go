package redistest

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Slot is the hash slot of a key or a sharded channel.
func (c *Cluster) Slot(key string) int {
	c.t.Helper()
	running := c.running()
	if len(running) == 0 {
		c.t.Fatalf("redistest: no node runs that knows the slot of %q", key)
	}
	slot, err := running[0].Client().ClusterKeySlot(context.Background(), key).Result()
	if err != nil {
		c.t.Fatalf("redistest: the slot of %q: %v", key, err)
	}
	return int(slot)
}

// Owner is the master of a slot. After a failure, and until its replica has taken over, that is the one that failed.
func (c *Cluster) Owner(slot int) *Server {
	c.t.Helper()
	return c.ask(fmt.Sprintf("the owner of slot %d", slot), func(v clusterView) *clusterNode { return v.owner(slot) })
}

// OwnerOf is the master of a key's slot, or of a sharded channel's.
func (c *Cluster) OwnerOf(key string) *Server {
	c.t.Helper()
	return c.Owner(c.Slot(key))
}

// MasterOf is the one that a replica follows.
func (c *Cluster) MasterOf(replica *Server) *Server {
	c.t.Helper()
	return c.ask("the master of "+replica.Addr(), func(v clusterView) *clusterNode {
		if n := v.of(replica); n.is("slave") {
			return v.byID(n.master)
		}
		return nil
	})
}

// ReplicaOf is a node that follows the master.
func (c *Cluster) ReplicaOf(master *Server) *Server {
	c.t.Helper()
	return c.ask("the replica of "+master.Addr(), func(v clusterView) *clusterNode {
		m := v.of(master)
		return v.find(func(n *clusterNode) bool { return m != nil && n.master == m.id })
	})
}

// Masters are the nodes that own slots, whether they run or not.
func (c *Cluster) Masters() []*Server {
	c.t.Helper()
	var masters []*Server
	await(c.t, "the nodes to agree on the masters", func() error {
		v, err := c.agreed()
		masters = nil
		for i := range v {
			if s, err := c.server(&v[i]); err == nil && v[i].isMaster() {
				masters = append(masters, s)
			}
		}
		return err
	})
	return masters
}

// ask waits until the nodes that run agree, and on a node that is what was asked for.
func (c *Cluster) ask(what string, pick func(clusterView) *clusterNode) *Server {
	c.t.Helper()
	var found *Server
	await(c.t, what, func() error {
		v, err := c.agreed()
		if err != nil {
			return err
		}
		found, err = c.server(pick(v))
		return err
	})
	return found
}

// AwaitMaster waits until all nodes that run agree that s is a master, and serves.
func (c *Cluster) AwaitMaster(s *Server) {
	c.t.Helper()
	await(c.t, s.Addr()+" to be a master", func() error {
		v, err := c.agreed()
		if err == nil && !v.of(s).isMaster() {
			err = fmt.Errorf("roles are\n%s", v.roles())
		}
		return err
	})
}

// AwaitReplica waits until all nodes that run agree that s is a replica, and it has all data of its master.
func (c *Cluster) AwaitReplica(s *Server) {
	c.t.Helper()
	await(c.t, s.Addr()+" to be a replica", func() error {
		v, err := c.agreed()
		if err == nil && !v.of(s).is("slave") {
			err = fmt.Errorf("roles are\n%s", v.roles())
		}
		return errors.Join(err, s.follows())
	})
	c.calmDown()
}

// AwaitHealthy waits until all nodes that run know and trust each other, agree on everything, have every slot served by
// one of them, follow one of them where they are no master themselves, and tell clients of all of them.
func (c *Cluster) AwaitHealthy() {
	c.t.Helper()
	await(c.t, "the cluster to be healthy", c.healthy)
	c.calmDown()
}

func (c *Cluster) healthy() error {
	v, err := c.acquainted()
	if err != nil {
		return err
	}
	for i := range v {
		if s, err := c.server(&v[i]); err == nil && v[i].isMaster() && !s.runs() {
			return fmt.Errorf("nobody has taken over from %s yet", s.Addr())
		}
	}
	for _, s := range c.running() {
		if err := errors.Join(s.servesAll(), c.isToldBy(s)); err != nil {
			return err
		}
		if v.of(s).isMaster() {
			continue
		}
		if err := s.follows(); err != nil {
			return err
		}
	}
	return nil
}

// servesAll says what is wrong with the cluster in a node's eyes.
func (s *Server) servesAll() error {
	info, err := s.Client().ClusterInfo(context.Background()).Result()
	if err != nil {
		return fmt.Errorf("CLUSTER INFO of %s: %w", s.Addr(), err)
	}
	for _, want := range []string{"cluster_state:ok", fmt.Sprintf("cluster_slots_ok:%d", clusterSlots)} {
		if !strings.Contains(info, want+"\r\n") {
			return fmt.Errorf("%s has no %s but says:\n%s", s.Addr(), want, info)
		}
	}
	return nil
}

// isToldBy says which of the nodes that run the asked one would not send a client to. It keeps them out of CLUSTER SLOTS.
func (c *Cluster) isToldBy(asked *Server) error {
	shards, err := asked.Client().ClusterShards(context.Background()).Result()
	if err != nil {
		return fmt.Errorf("CLUSTER SHARDS of %s: %w", asked.Addr(), err)
	}
	health := make(map[int64]string)
	for _, shard := range shards {
		for _, n := range shard.Nodes {
			health[max(n.Port, n.TLSPort)] = n.Health
		}
	}
	for _, s := range c.running() {
		if h := health[int64(s.Port())]; h != "online" {
			return fmt.Errorf("%s calls %s %q", asked.Addr(), s.Addr(), h)
		}
	}
	return nil
}

// follows says why a node is not a replica that is up to date.
func (s *Server) follows() error {
	info, err := s.Client().Info(context.Background(), "replication").Result()
	if err != nil {
		return fmt.Errorf("INFO of %s: %w", s.Addr(), err)
	}
	for _, want := range []string{"role:slave", "master_link_status:up"} {
		if !strings.Contains(info, want+"\r\n") {
			return fmt.Errorf("%s has no %s but says:\n%s", s.Addr(), want, info)
		}
	}
	return nil
}
