package redistest

import (
	"context"
	"errors"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const (
	clusterMasters = 3
	clusterSlots   = 16384
	// A node that does not answer for so long, in milliseconds, counts as failed once most masters say so; its replica
	// begins an election half a second to a second later. The nodes are so quick, also to learn of each other, until all are
	// well, and from when a test kills or pauses one until all are well again. Else they wait for one that a busy machine leaves
	// without a turn.
	quickTimeout    = "2000"
	patientTimeout  = "60000"
	failoverGivenUp = 6 * time.Second // Redis: CLUSTER_MF_TIMEOUT, 5 s
)

// meetAgain is how long nodes have to know each other before they are introduced again.
const meetAgain = 5 * time.Second

// ClusterOptions say what a cluster is like. The zero value is three masters with a replica each, without TLS.
type ClusterOptions struct {
	NoReplicas bool     // three masters alone: started a little sooner, and what one of them owns is lost with it
	TLS        *TLS     // for clients, and between the nodes; nil: none
	Args       []string // for each redis-server, after our own
}

// Cluster is a Redis Cluster. Replicas and owners of slots change with time: the methods ask the nodes that run, and
// wait until these agree. Nodes are killed, stopped and started again with their own methods.
type Cluster struct {
	t      testing.TB
	nodes  []*Server
	opts   ClusterOptions
	client *redis.ClusterClient
	kept   bool // by KeepRoles
}

// StartCluster starts a cluster and waits until it is healthy, which takes two to three seconds: for two a
// master that has just started serves nobody. Short tests are skipped.
func StartCluster(t testing.TB, opts ClusterOptions) *Cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("a cluster takes seconds to start")
	}
	c := &Cluster{t: t, opts: opts}
	count := 2 * clusterMasters
	if opts.NoReplicas {
		count = clusterMasters
	}
	for range count {
		file := filepath.Join(t.TempDir(), "nodes.conf")
		c.nodes = append(c.nodes, begin(t, &Server{tls: opts.TLS, args: opts.Args, nodes: file}))
	}
	c.join()
	c.AwaitHealthy()
	for _, s := range c.nodes {
		s.told = func() {
			if len(c.running()) < len(c.nodes) {
				c.hurry()
			}
		}
	}
	return c
}

// join makes a cluster of nodes that do not know each other yet. It does what redis-cli --cluster create does, but for
// the introductions: each node meets each other at once, where gossip would take its time.
func (c *Cluster) join() {
	c.t.Helper()
	for i, s := range c.nodes {
		s.cluster("SET-CONFIG-EPOCH", i+1)
		if i < clusterMasters {
			first, next := clusterSlots*i/clusterMasters, clusterSlots*(i+1)/clusterMasters
			s.cluster("ADDSLOTSRANGE", first, next-1)
		}
	}
	var met time.Time
	await(c.t, "the nodes to know each other", func() error {
		// Again, now and then: nodes give up an introduction to one that stands still for two seconds.
		if time.Since(met) > meetAgain {
			met = time.Now()
			for i, s := range c.nodes {
				for _, other := range c.nodes[:i] {
					s.cluster("MEET", other.Host(), other.Port(), other.bus)
				}
			}
		}
		_, err := c.acquainted()
		return err
	})
	for i, s := range c.nodes[clusterMasters:] {
		s.cluster("REPLICATE", c.nodes[i].clusterID())
	}
}

// Nodes are all of them, in the order in which they were started: at first, three masters and then their replicas in
// the same order.
func (c *Cluster) Nodes() []*Server { return append([]*Server(nil), c.nodes...) }

// Addrs are the nodes' host:port, in the order of Nodes.
func (c *Cluster) Addrs() []string {
	var addrs []string
	for _, s := range c.nodes {
		addrs = append(addrs, s.Addr())
	}
	return addrs
}

// Client is a client of the whole cluster, the same each time; it is closed when the test ends. It learns of a change
// with its first command after the change, or a moment later, but not before.
func (c *Cluster) Client() *redis.ClusterClient {
	c.t.Helper()
	if c.client != nil {
		return c.client
	}
	secured, err := c.nodes[0].clientTLS()
	if err != nil {
		c.t.Fatalf("redistest: %v", err)
	}
	c.client = redis.NewClusterClient(&redis.ClusterOptions{
		Addrs:     c.Addrs(),
		TLSConfig: secured,
		// By itself it would ask the cluster once a minute, and not because a node is gone.
		ClusterStateReloadInterval: 100 * time.Millisecond,
		// A node that is down is not dialled for long, nor by a goroutine that outlives the client: with as many
		// failures as there may be connections, one begins to dial every second.
		DialerRetries:            1,
		PoolSize:                 1000,
		Protocol:                 2,
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	c.t.Cleanup(func() { _ = c.client.Close() })
	return c.client
}

// KeepRoles has the nodes be patient from now on, also while one is gone: the roles stay as they are, however long a busy
// machine leaves one of them without a turn. Tests in which no master is to be replaced, or no other, call it.
func (c *Cluster) KeepRoles() {
	c.t.Helper()
	c.kept = true
	c.setTimeout(patientTimeout)
}

// hurry has the nodes be quick, unless the roles are kept.
func (c *Cluster) hurry() {
	c.t.Helper()
	if !c.kept {
		c.setTimeout(quickTimeout)
	}
}

// calmDown has the nodes be patient again once all run and are well.
func (c *Cluster) calmDown() {
	c.t.Helper()
	if len(c.running()) == len(c.nodes) {
		c.setTimeout(patientTimeout)
	}
}

func (c *Cluster) setTimeout(ms string) {
	c.t.Helper()
	for _, s := range c.running() {
		if err := s.Client().ConfigSet(context.Background(), "cluster-node-timeout", ms).Err(); err != nil {
			c.t.Fatalf("redistest: %v", err)
		}
	}
}

// SPublish publishes on a sharded channel, at the one whom all nodes that run call its master, and returns how many
// subscriptions of that one node got it. It fails while that node is down.
func (c *Cluster) SPublish(channel, payload string) int64 {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	n, err := c.OwnerOf(channel).Client().SPublish(ctx, channel, payload).Result()
	if err != nil {
		c.t.Fatalf("redistest: spublish on %q: %v", channel, err)
	}
	return n
}

// Failover makes a replica the master, in good order: the two agree on the moment, and the old master, which has to
// run, becomes the replica.
func (c *Cluster) Failover(replica *Server) {
	c.t.Helper()
	c.hurry()
	old := c.MasterOf(replica)
	var asked time.Time
	await(c.t, "the failover to "+replica.Addr(), func() error {
		v, err := c.agreed()
		if err != nil || v.of(replica).isMaster() {
			return err
		}
		// Asking again starts it over, so there has to be time between; a node gives up in silence.
		if time.Since(asked) > failoverGivenUp {
			asked = time.Now()
			err = replica.tryCluster("FAILOVER")
		}
		return errors.Join(errNotYet, err)
	})
	c.AwaitReplica(old)
}

// clusterArgs are the arguments for a redis-server that is a node of a cluster.
func (s *Server) clusterArgs() []string {
	if s.nodes == "" {
		return nil
	}
	args := []string{
		"--cluster-enabled", "yes", "--cluster-config-file", s.nodes, "--cluster-port", strconv.Itoa(s.bus),
		"--cluster-node-timeout", quickTimeout, "--repl-diskless-sync-delay", "0",
		// Clients are not told of a replica that has never copied a byte. Pings to it are such.
		"--repl-ping-replica-period", "1",
		// A replica takes over however old its data is: there is none.
		"--cluster-replica-validity-factor", "0",
	}
	if s.tls != nil {
		args = append(args, "--tls-cluster", "yes")
	}
	return args
}

// cluster sends a CLUSTER command that has to succeed.
func (s *Server) cluster(args ...any) {
	s.t.Helper()
	if err := s.tryCluster(args...); err != nil {
		s.t.Fatalf("redistest: CLUSTER %v to %s: %v", args, s.Addr(), err)
	}
}

func (s *Server) tryCluster(args ...any) error {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	return s.Client().Do(ctx, append([]any{"CLUSTER"}, args...)...).Err()
}

// clusterID is the node's name in the cluster, which it keeps.
func (s *Server) clusterID() string {
	s.t.Helper()
	id, err := s.Client().Do(context.Background(), "CLUSTER", "MYID").Text()
	if err != nil {
		s.t.Fatalf("redistest: CLUSTER MYID of %s: %v", s.Addr(), err)
	}
	return id
}
