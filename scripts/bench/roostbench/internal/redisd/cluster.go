package redisd

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"roost/bench/roostbench/internal/child"
	"roost/bench/roostbench/internal/redispub"
)

const (
	masters = 3
	slots   = 16384
	// nodeTimeout is in milliseconds. A master that comes to a cluster waits for as long before it serves.
	nodeTimeout = "2000"
)

// StartCluster starts three masters, with a third of the slots each and without replicas. It takes two seconds and more: for
// so long a master serves nobody that has just come. With an error it also returns what has been started.
func StartCluster(ctx context.Context, logs string) (*Redis, error) {
	dir, err := tempDir(logs)
	r := &Redis{dir: dir}
	if err != nil {
		return r, err
	}
	var buses []string
	for i := range masters {
		bus, err := child.FreePort()
		if err != nil {
			return r, err
		}
		n, err := r.add(logs, "--cluster-enabled", "yes", "--cluster-port", bus, "--cluster-node-timeout", nodeTimeout,
			"--cluster-config-file", filepath.Join(dir, fmt.Sprintf("nodes-%d.conf", i+1)))
		if err == nil {
			err = n.start(ctx)
		}
		if err != nil {
			return r, err
		}
		buses = append(buses, bus)
	}
	if err := r.join(ctx, buses); err != nil {
		return r, err
	}
	return r, r.awaitCluster(ctx)
}

// join makes a cluster of nodes that do not know each other yet.
func (r *Redis) join(ctx context.Context, buses []string) error {
	for i, n := range r.nodes {
		first, last := r.slotsOf(i)
		err := errors.Join(
			n.client.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err(),
			n.client.Do(ctx, "CLUSTER", "ADDSLOTSRANGE", first, last).Err())
		for j, other := range r.nodes[:i] {
			err = errors.Join(err, n.client.Do(ctx, "CLUSTER", "MEET", "127.0.0.1", other.port, buses[j]).Err())
		}
		if err != nil {
			return fmt.Errorf("making a cluster: %w", err)
		}
	}
	return nil
}

// slotsOf are the first and the last slot of a node.
func (r *Redis) slotsOf(i int) (first, last int) {
	return slots * i / len(r.nodes), slots*(i+1)/len(r.nodes) - 1
}

// awaitCluster waits until all nodes say that all slots are served.
func (r *Redis) awaitCluster(ctx context.Context) error {
	return await(ctx, "the cluster", func() error {
		return r.all(func(n *node) error {
			info, err := n.client.ClusterInfo(ctx).Result()
			if err != nil {
				return err
			}
			for _, want := range []string{"cluster_state:ok", fmt.Sprintf("cluster_slots_ok:%d", slots), fmt.Sprintf("cluster_size:%d", masters)} {
				if !strings.Contains(info, want+"\r\n") {
					return fmt.Errorf("node %s has no %s", n.port, want)
				}
			}
			return nil
		})
	})
}

// Shards say where which slots are; none without a cluster.
func (r *Redis) Shards() []redispub.Shard {
	if !r.Cluster() {
		return nil
	}
	var shards []redispub.Shard
	for i, addr := range r.Addrs() {
		first, last := r.slotsOf(i)
		shards = append(shards, redispub.Shard{First: first, Last: last, Redis: addr})
	}
	return shards
}
