package redisd

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"roost/bench/roostbench/internal/child"
	"roost/bench/roostbench/internal/procfs"
)

// Redis is one server, or all masters of a cluster. One goroutine uses it.
type Redis struct {
	nodes   []*node
	dir     string // of what cluster nodes know of each other; empty: one server
	stopped bool
}

// node is one redis-server.
type node struct {
	port, log string
	args      []string // behind those that all have
	process   *child.Process
	client    *redis.Client
}

// Start starts one server. The names of log files begin with logs. With an error it also returns what has been started.
func Start(ctx context.Context, logs string) (*Redis, error) { return StartWith(ctx, logs) }

// StartWith is Start with more arguments for the server.
func StartWith(ctx context.Context, logs string, args ...string) (*Redis, error) {
	r := &Redis{}
	n, err := r.add(logs, args...)
	if err != nil {
		return r, err
	}
	return r, n.start(ctx)
}

func (r *Redis) add(logs string, args ...string) (*node, error) {
	port, err := child.FreePort()
	if err != nil {
		return nil, err
	}
	n := &node{port: port, log: fmt.Sprintf("%s.redis-%d.log", logs, len(r.nodes)+1), args: args}
	n.client = redis.NewClient(&redis.Options{
		Addr: "127.0.0.1:" + port, Protocol: 2, PoolSize: 1, MaxRetries: -1, DialerRetries: 1, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	r.nodes = append(r.nodes, n)
	return n, nil
}

// start starts the process, and waits until it answers.
func (n *node) start(ctx context.Context) error {
	args := append([]string{"--port", n.port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"}, n.args...)
	var err error
	if n.process, err = child.Start(n.log, nil, "redis-server", args...); err != nil {
		return err
	}
	if err := n.process.Await(ctx, child.Listening(n.port)); err != nil {
		return err
	}
	return await(ctx, "redis-server", func() error { return n.client.Ping(ctx).Err() })
}

// Cluster says whether it is one.
func (r *Redis) Cluster() bool { return r.dir != "" }

// Addrs are where the servers listen.
func (r *Redis) Addrs() []netip.AddrPort {
	var addrs []netip.AddrPort
	for _, n := range r.nodes {
		addrs = append(addrs, netip.MustParseAddrPort("127.0.0.1:"+n.port))
	}
	return addrs
}

// Sample adds up the processes.
func (r *Redis) Sample() (procfs.Sample, error) {
	var sum procfs.Sample
	for _, n := range r.nodes {
		s, err := procfs.Read(n.process.PID())
		if err != nil {
			return sum, err
		}
		sum = sum.Plus(s)
	}
	return sum, nil
}

// CutSubscribers ends all connections with subscriptions, at the same time.
func (r *Redis) CutSubscribers(ctx context.Context) error {
	return r.all(func(n *node) error { return n.client.ClientKillByFilter(ctx, "TYPE", "pubsub").Err() })
}

// Restart ends all servers, starts them again on the same ports, and waits until they serve.
func (r *Redis) Restart(ctx context.Context) error {
	if err := r.all(func(n *node) error { n.process.Stop(); return nil }); err != nil {
		return err
	}
	if err := r.all(func(n *node) error { return n.start(ctx) }); err != nil {
		return err
	}
	if r.Cluster() {
		return r.awaitCluster(ctx)
	}
	return nil
}

// Stop ends all servers. Further calls do nothing.
func (r *Redis) Stop() {
	if r == nil || r.stopped {
		return
	}
	r.stopped = true
	_ = r.all(func(n *node) error {
		_ = n.client.Close()
		if n.process != nil {
			n.process.Stop()
		}
		return nil
	})
	if r.dir != "" {
		_ = os.RemoveAll(r.dir)
	}
}

// all does the same to all servers at the same time.
func (r *Redis) all(do func(*node) error) error {
	var wg sync.WaitGroup
	failed := make([]error, len(r.nodes))
	for i, n := range r.nodes {
		wg.Go(func() { failed[i] = do(n) })
	}
	wg.Wait()
	return errors.Join(failed...)
}

// lookAgain is how often what is waited for is looked at, and patience for how long.
const (
	lookAgain = 20 * time.Millisecond
	patience  = time.Minute
)

// await waits until ok returns nil.
func await(ctx context.Context, what string, ok func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := ok()
		if err == nil {
			return nil
		}
		select {
		case <-time.After(lookAgain):
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w: %w", what, ctx.Err(), err)
		}
	}
}

func tempDir(logs string) (string, error) {
	path, err := filepath.Abs(filepath.Dir(logs))
	if err != nil {
		return "", err
	}
	return os.MkdirTemp(path, "redis-cluster-")
}
