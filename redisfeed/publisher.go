package redisfeed

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// ChannelPrefix and the user make the name of the channel on which the user's notifications are published.
const ChannelPrefix = "user_noti:"

// AllChannel is the channel on which notifications for everybody are published.
const AllChannel = "user_noti_all"

// GroupPrefix and a group make the name of the channel on which notifications for the group's members are published.
const GroupPrefix = "group_noti:"

// ControlPrefix and the user make the name of the channel on which commands about the user's connections are published.
const ControlPrefix = "user_ctl:"

// Publisher publishes notifications on a pool of ordinary connections. Any goroutine may use it.
//
// With Sentinel it asks where the master is before it publishes for the first time, and again after it has failed. That
// a master is none any more, and takes what is published all the same, is noticed by a Feed only, for its own Publisher.
type Publisher struct {
	cfg       Config
	sentinels *sentinels // nil without Sentinel
	life      context.Context
	cancel    context.CancelFunc // ends life, and so dials that go-redis started without a context of ours

	mu     sync.Mutex            // guards the rest; held for assignments only
	client redis.UniversalClient // nil before the master is known, and once closed
	at     string                // its address
	unsure bool                  // the last publish failed
	closed bool
}

// NewPublisher returns a Publisher for the Redis of cfg. It does not wait for a connection. Of cfg it uses what
// concerns the server and the pool.
func NewPublisher(cfg Config) (*Publisher, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	p := &Publisher{cfg: cfg}
	p.life, p.cancel = context.WithCancel(context.Background())
	switch {
	case len(cfg.Nodes) > 0:
		p.client, p.at = redis.NewClusterClient(clusterOptions(p.life, cfg)), strings.Join(cfg.Nodes, ",")
	case len(cfg.Sentinels) > 0:
		p.sentinels = newSentinels(p.life, cfg)
	default:
		p.use(master{addr: cfg.Addr})
	}
	return p, nil
}

// newNodePublisher returns a Publisher for one node of a cluster at a time, which use says.
func newNodePublisher(cfg Config) *Publisher {
	cfg.MinIdleConns, cfg.Nodes = 0, nil
	p := &Publisher{cfg: cfg}
	p.life, p.cancel = context.WithCancel(context.Background())
	return p
}

// clusterClient is the client of a Publisher for a cluster.
func (p *Publisher) clusterClient() *redis.ClusterClient { return p.client.(*redis.ClusterClient) }

// use publishes on another Redis from now on. What is under way on the one before fails.
func (p *Publisher) use(m master) {
	if old := p.swap(m); old != nil {
		_ = old.Close()
	}
}

// swap puts a client for m in the place of the one that it returns, which is nil where nothing changes.
func (p *Publisher) swap(m master) (old redis.UniversalClient) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unsure = false
	if p.closed || m.addr == p.at {
		return nil
	}
	cfg := p.cfg
	cfg.Addr = m.addr
	old, p.client, p.at = p.client, redis.NewClient(poolOptions(p.life, cfg)), m.addr
	return old
}

// addr is the Redis that is published on; empty while it is not known.
func (p *Publisher) addr() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.at
}

// pool is the client to publish with.
func (p *Publisher) pool(ctx context.Context) (redis.UniversalClient, error) {
	p.mu.Lock()
	client, unsure, closed := p.client, p.unsure, p.closed
	p.mu.Unlock()
	switch {
	case closed:
		return nil, redis.ErrClosed
	case client != nil && (!unsure || p.sentinels == nil):
		return client, nil
	case p.sentinels == nil:
		return nil, errNotYet // no node has been chosen
	}
	m, err := p.sentinels.master(ctx, p.addr())
	if err != nil {
		return nil, err
	}
	p.use(m)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.client == nil { // closed meanwhile
		return nil, redis.ErrClosed
	}
	return p.client, nil
}

// Publish publishes a payload for a user, as Config.Mode wants it, and returns how many subscribers Redis handed it to:
// the number of Roost instances in Pattern mode, whether or not the user is connected to one, and in the others of those
// where the user is. A cluster's node counts only its own subscribers in the first two modes. It returns by ctx's
// deadline, or after the 5 s that go-redis waits for an answer; a mere cancellation is seen only between its steps. A
// refusal wraps ErrAuth.
func (p *Publisher) Publish(ctx context.Context, user, payload string) (receivers int64, err error) {
	if p.cfg.Mode == Sharded {
		return p.send(ctx, redis.UniversalClient.SPublish, ChannelPrefix+user, payload)
	}
	return p.publish(ctx, ChannelPrefix+user, payload)
}

// PublishAll publishes a payload for everybody, as Publish does in Pattern mode.
func (p *Publisher) PublishAll(ctx context.Context, payload string) (receivers int64, err error) {
	return p.publish(ctx, AllChannel, payload)
}

// PublishGroup publishes a payload for the members of a group, as Publish does in Pattern mode.
func (p *Publisher) PublishGroup(ctx context.Context, group, payload string) (receivers int64, err error) {
	return p.publish(ctx, GroupPrefix+group, payload)
}

// PublishControl publishes a command about a user's connections, as Publish does a notification in Pattern mode.
func (p *Publisher) PublishControl(ctx context.Context, user, command string) (receivers int64, err error) {
	return p.publish(ctx, ControlPrefix+user, command)
}

func (p *Publisher) publish(ctx context.Context, channel, payload string) (int64, error) {
	n, err := p.send(ctx, redis.UniversalClient.Publish, channel, payload)
	if notReached(err) {
		return p.publishElsewhere(ctx, channel, payload, err)
	}
	return n, err
}

// publishElsewhere publishes on another node of a cluster than go-redis would, which can't be reached: each takes PUBLISH
// for all. err is the error otherwise.
func (p *Publisher) publishElsewhere(ctx context.Context, channel, payload string, err error) (int64, error) {
	pool, _ := p.pool(ctx)
	c, ok := pool.(*redis.ClusterClient)
	if !ok {
		return 0, err
	}
	tried := make(map[string]bool)
	for range 32 { // chosen by chance, several times the same
		node, unknown := c.MasterForKey(ctx, rand.Text())
		if unknown != nil {
			break
		}
		addr := node.Options().Addr
		if tried[addr] {
			continue
		}
		tried[addr] = true
		n, failed := node.Publish(ctx, channel, payload).Result()
		switch {
		case failed == nil:
			return n, nil
		case !notReached(failed):
			return 0, fmt.Errorf("redis publish: %w", p.cfg.explain(failed))
		}
	}
	return 0, err
}

// notReached reports whether there was no connection, so that surely nothing was published.
func notReached(err error) bool {
	var failed *net.OpError
	return errors.As(err, &failed) && failed.Op == "dial"
}

// send publishes with PUBLISH or SPUBLISH.
func (p *Publisher) send(
	ctx context.Context, command func(redis.UniversalClient, context.Context, string, any) *redis.IntCmd, channel, payload string,
) (int64, error) {
	client, err := p.pool(ctx)
	if err != nil {
		return 0, fmt.Errorf("redis publish: %w", err)
	}
	n, err := command(client, ctx, channel, payload).Result()
	if err != nil {
		p.doubt()
		return 0, fmt.Errorf("redis publish: %w", p.cfg.explain(err))
	}
	return n, nil
}

// doubt has the sentinels asked where the master is before the next use, or a cluster who has which slots: by itself
// go-redis would go on with a node that is gone for as long as its map is young.
func (p *Publisher) doubt() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unsure = true
	if c, ok := p.client.(*redis.ClusterClient); ok {
		c.ReloadState(context.Background())
	}
}

// Close closes the connections; publishing fails from then on, also what is under way. Further calls do nothing.
func (p *Publisher) Close() error {
	p.cancel()
	p.mu.Lock()
	client := p.client
	p.client, p.closed = nil, true
	p.mu.Unlock()
	if p.sentinels != nil {
		p.sentinels.close()
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
func poolOptions(life context.Context, cfg Config) *redis.Options {
	o := baseOptions(cfg)
	d := &dialer{tls: cfg.TLS, timeout: cfg.HeartbeatTimeout}
	o.Dialer = d.within(life)
	o.ContextTimeoutEnabled = true
	o.MaxRetries = orNone(cfg.MaxRetries)
	o.MinIdleConns = cfg.MinIdleConns
	o.PoolSize = cfg.PoolSize
	o.PoolTimeout = cfg.PoolTimeout
	o.ConnMaxIdleTime = cfg.ConnMaxIdleTime
	o.ConnMaxLifetime = cfg.ConnMaxLifetime
	return o
}

// mapAge is how old a client's map of a cluster may become. A node that was demoted gives no error: it takes what is
// published, and passes it on, later than the new master would.
const mapAge = 5 * time.Second

// clusterOptions are those of the client of a whole cluster, with a pool for each node.
func clusterOptions(life context.Context, cfg Config) *redis.ClusterOptions {
	o := poolOptions(life, cfg)
	return &redis.ClusterOptions{
		Addrs: cfg.Nodes, Dialer: o.Dialer, Username: o.Username, Password: o.Password, OnConnect: o.OnConnect, Protocol: o.Protocol,
		DialTimeout: o.DialTimeout, DialerRetries: o.DialerRetries, ContextTimeoutEnabled: true,
		MaxRedirects: max(1, cfg.MaxRetries), PipelinePoolSize: o.PipelinePoolSize,
		MinIdleConns: o.MinIdleConns, PoolSize: o.PoolSize, PoolTimeout: o.PoolTimeout,
		ConnMaxIdleTime: o.ConnMaxIdleTime, ConnMaxLifetime: o.ConnMaxLifetime,
		ClusterStateReloadInterval: mapAge,
		DisableRoutingPolicies:     true, // which would ask for COMMAND, and so for a permission more
		DisableIdentity:            true, MaintNotificationsConfig: o.MaintNotificationsConfig,
	}
}

// baseOptions are common to both clients. RESP2, because pub/sub over RESP3 lost messages in several releases of
// go-redis and gives us nothing; no CLIENT commands that have to succeed, so that a narrow ACL is enough; one dial at a time, because the
// feed has its own pace.
func baseOptions(cfg Config) *redis.Options {
	return &redis.Options{
		Addr:                     cfg.Addr,
		Username:                 cfg.Username,
		Password:                 authPassword(cfg.Username, cfg.Password),
		OnConnect:                nameConnection(cfg.ClientName),
		DB:                       cfg.DB,
		Protocol:                 2,
		DialTimeout:              cfg.HeartbeatTimeout,
		DialerRetries:            1,
		PipelinePoolSize:         -1,
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

// orNone maps 0 to what go-redis calls none; its own zero value means three.
func orNone(retries int) int {
	if retries == 0 {
		return -1
	}
	return retries
}
