// Package pool has ordinary connections to the Redis that is the master now: what publishing and presence are done with. It
// follows what Sentinel says, and has a pool for each node of a Redis Cluster. Any goroutine may use it.
package pool

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"roost/redisfeed/internal/redisnet"
	"roost/redisfeed/internal/topology"
)

// ErrNoNode is returned by Client while no node has been chosen (Use).
var ErrNoNode = errors.New("not connected yet")

// Pool is ordinary connections to one Redis at a time, or to the nodes of a cluster.
//
// With Sentinel it asks where the master is before the first use, and again after Doubt. While no sentinel answers, the
// master that is known stays.
type Pool struct {
	cfg       redisnet.Config
	sentinels *topology.Sentinels // nil without Sentinel
	life      context.Context
	cancel    context.CancelFunc // ends life, and so dials that go-redis started without a context of ours

	mu     sync.Mutex            // guards the rest; held for assignments only
	client redis.UniversalClient // nil before the master is known, and once closed
	at     string                // its address
	unsure bool                  // the last use failed
	epoch  int64                 // of the failover that made it the master; 0 without Sentinel
	closed bool
}

// New returns a Pool for the Redis of cfg. It does not wait for a connection.
func New(cfg redisnet.Config) (*Pool, error) {
	cfg, err := cfg.WithDefaults()
	if err != nil {
		return nil, err
	}
	p := &Pool{cfg: cfg}
	p.life, p.cancel = context.WithCancel(context.Background())
	switch {
	case len(cfg.Nodes) > 0:
		p.client, p.at = redis.NewClusterClient(clusterOptions(p.life, cfg)), strings.Join(cfg.Nodes, ",")
	case len(cfg.Sentinels) > 0:
		p.sentinels = topology.NewSentinels(p.life, cfg)
	default:
		p.Use(topology.Master{Addr: cfg.Addr})
	}
	return p, nil
}

// NewNode returns a Pool for one node of a cluster at a time, which Use says.
func NewNode(cfg redisnet.Config) *Pool {
	cfg.MinIdleConns, cfg.Nodes = 0, nil
	p := &Pool{cfg: cfg}
	p.life, p.cancel = context.WithCancel(context.Background())
	return p
}

// Config is what the Pool was made with, with its defaults.
func (p *Pool) Config() redisnet.Config { return p.cfg }

// Sentinels says where the master is; nil without Sentinel.
func (p *Pool) Sentinels() *topology.Sentinels { return p.sentinels }

// Cluster is the client of a Pool for a cluster.
func (p *Pool) Cluster() *redis.ClusterClient { return p.client.(*redis.ClusterClient) }

// Use has another Redis used from now on. Commands under way on the one before fail.
func (p *Pool) Use(m topology.Master) {
	if old := p.swap(m); old != nil {
		_ = old.Close()
	}
}

// swap puts a client for m in the place of the one that it returns, which is nil where nothing changes.
func (p *Pool) swap(m topology.Master) (old redis.UniversalClient) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unsure, p.epoch = false, m.Epoch
	if p.closed || m.Addr == p.at {
		return nil
	}
	cfg := p.cfg
	cfg.Addr = m.Addr
	old, p.client, p.at = p.client, redis.NewClient(poolOptions(p.life, cfg)), m.Addr
	return old
}

// Addr is the Redis that is used; empty while it is not known.
func (p *Pool) Addr() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.at
}

// Client is the client to use.
func (p *Pool) Client(ctx context.Context) (redis.UniversalClient, error) {
	p.mu.Lock()
	client, unsure, closed, epoch := p.client, p.unsure, p.closed, p.epoch
	p.mu.Unlock()
	switch {
	case closed:
		return nil, redis.ErrClosed
	case client != nil && (!unsure || p.sentinels == nil):
		return client, nil
	case p.sentinels == nil:
		return nil, ErrNoNode // no node has been chosen
	}
	m, err := p.sentinels.Master(ctx, p.Addr())
	if err != nil && client != nil { // nobody knows better than we do: sentinels that are gone are no reason to leave a master that is not
		return client, nil
	}
	if err != nil {
		return nil, err
	}
	if client != nil && m.Epoch < epoch && !m.Sure { // from before the last failover: who was cut off from the others says what was
		return client, nil
	}
	p.Use(m)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.client == nil { // closed meanwhile
		return nil, redis.ErrClosed
	}
	return p.client, nil
}

// Doubt has the sentinels asked where the master is before the next use, or a cluster who has which slots: by itself
// go-redis would go on with a node that is gone for as long as its map is young.
func (p *Pool) Doubt() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unsure = true
	if c, ok := p.client.(*redis.ClusterClient); ok {
		c.ReloadState(context.Background())
	}
}

// Stats says how the pool of a single Redis was used.
func (p *Pool) Stats() *redis.PoolStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.client.PoolStats()
}

// Close closes the connections; commands fail from then on, also what is under way. Further calls do nothing.
func (p *Pool) Close() error {
	p.cancel()
	p.mu.Lock()
	client := p.client
	p.client, p.closed = nil, true
	p.mu.Unlock()
	if p.sentinels != nil {
		p.sentinels.Close()
	}
	if client == nil {
		return nil
	}
	if err := client.Close(); err != nil && !errors.Is(err, redis.ErrClosed) {
		return fmt.Errorf("close redis connections: %w", err)
	}
	return nil
}

// poolOptions are the options of the ordinary client. Dials end with life.
func poolOptions(life context.Context, cfg redisnet.Config) *redis.Options {
	o := cfg.Options()
	d := &redisnet.Dialer{TLS: cfg.TLS, Timeout: cfg.Timeout}
	o.Dialer = d.Within(life)
	o.ContextTimeoutEnabled = true
	o.MaxRetries = redisnet.Retries(cfg.MaxRetries)
	o.MinIdleConns = cfg.MinIdleConns
	o.PoolSize = cfg.PoolSize
	o.PoolTimeout = cfg.PoolTimeout
	o.ReadTimeout = cfg.AnswerTimeout
	o.ConnMaxIdleTime = cfg.ConnMaxIdleTime
	o.ConnMaxLifetime = cfg.ConnMaxLifetime
	return o
}

// mapAge is how old a client's map of a cluster may become. A node that was demoted gives no error: it takes what is
// published, and passes it on, later than the new master would.
const mapAge = 5 * time.Second

// clusterOptions are those of the client of a whole cluster, with a pool for each node.
func clusterOptions(life context.Context, cfg redisnet.Config) *redis.ClusterOptions {
	o := poolOptions(life, cfg)
	return &redis.ClusterOptions{
		Addrs: cfg.Nodes, Dialer: o.Dialer, Username: o.Username, Password: o.Password, OnConnect: o.OnConnect, Protocol: o.Protocol,
		DialTimeout: o.DialTimeout, DialerRetries: o.DialerRetries, ContextTimeoutEnabled: true,
		MaxRedirects: max(1, cfg.MaxRetries), PipelinePoolSize: o.PipelinePoolSize,
		MinIdleConns: o.MinIdleConns, PoolSize: o.PoolSize, PoolTimeout: o.PoolTimeout, ReadTimeout: o.ReadTimeout,
		ConnMaxIdleTime: o.ConnMaxIdleTime, ConnMaxLifetime: o.ConnMaxLifetime,
		ClusterStateReloadInterval: mapAge,
		DisableRoutingPolicies:     true, // which would ask for COMMAND, and so for a permission more
		DisableIdentity:            true, MaintNotificationsConfig: o.MaintNotificationsConfig,
	}
}
