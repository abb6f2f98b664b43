package redisfeed

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// ChannelPrefix and the user make the name of the channel on which the user's notifications are published.
const ChannelPrefix = "user_noti:"

// ControlPrefix and the user make the name of the channel on which commands about the user's connections are published.
const ControlPrefix = "user_ctl:"

// AllChannel is the channel on which notifications for everyone are published.
const AllChannel = "user_noti_all"

// GroupPrefix and a group's name make the name of the channel on which notifications for the group are published.
const GroupPrefix = "group_noti:"

// Publisher publishes notifications on a pool of ordinary connections. Any goroutine may use it.
//
// With Sentinel it asks where the master is before it publishes for the first time, and again after it has failed. That
// a master is none any more, and takes what is published all the same, is noticed by a Feed only, for its own Publisher.
type Publisher struct {
	cfg       Config
	sentinels *sentinels // nil without Sentinel
	life      context.Context
	cancel    context.CancelFunc // ends life, and so dials that go-redis started without a context of ours

	mu     sync.Mutex    // guards the rest; held for assignments only
	client *redis.Client // nil before the master is known, and once closed
	at     string        // its address
	unsure bool          // the last publish failed
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
	if p.sentinels = newSentinels(p.life, cfg); p.sentinels == nil {
		p.use(master{addr: cfg.Addr})
	}
	return p, nil
}

// use publishes on another Redis from now on. What is under way on the one before fails.
func (p *Publisher) use(m master) {
	if old := p.swap(m); old != nil {
		_ = old.Close()
	}
}

// swap puts a client for m in the place of the one that it returns, which is nil where nothing changes.
func (p *Publisher) swap(m master) (old *redis.Client) {
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
func (p *Publisher) pool(ctx context.Context) (*redis.Client, error) {
	p.mu.Lock()
	client, unsure, closed := p.client, p.unsure, p.closed
	p.mu.Unlock()
	switch {
	case closed:
		return nil, redis.ErrClosed
	case client != nil && (!unsure || p.sentinels == nil):
		return client, nil
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

// Publish publishes a payload for a user and returns how many subscribers Redis handed it to: the number of Roost
// instances, whether or not the user is connected to one. It returns by ctx's deadline, or after the 5 s that go-redis
// waits for an answer; a mere cancellation is seen only between its steps. A refusal wraps ErrAuth.
func (p *Publisher) Publish(ctx context.Context, user, payload string) (receivers int64, err error) {
	return p.publish(ctx, ChannelPrefix+user, payload)
}

// PublishControl publishes a command about a user's connections, as Publish does a notification.
func (p *Publisher) PublishControl(ctx context.Context, user, command string) (receivers int64, err error) {
	return p.publish(ctx, ControlPrefix+user, command)
}

// PublishAll publishes a payload for every connection of every instance, as Publish does for a user.
func (p *Publisher) PublishAll(ctx context.Context, payload string) (receivers int64, err error) {
	return p.publish(ctx, AllChannel, payload)
}

// PublishGroup publishes a payload for the members of a group, as Publish does for a user.
func (p *Publisher) PublishGroup(ctx context.Context, group, payload string) (receivers int64, err error) {
	return p.publish(ctx, GroupPrefix+group, payload)
}

func (p *Publisher) publish(ctx context.Context, channel, payload string) (int64, error) {
	client, err := p.pool(ctx)
	if err != nil {
		return 0, fmt.Errorf("redis publish: %w", err)
	}
	n, err := client.Publish(ctx, channel, payload).Result()
	if err != nil {
		p.mu.Lock()
		p.unsure = true
		p.mu.Unlock()
		return 0, fmt.Errorf("redis publish: %w", explain(err))
	}
	return n, nil
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

// baseOptions are common to both clients. RESP2, because pub/sub over RESP3 lost messages in several releases of
// go-redis and gives us nothing; no CLIENT commands, so that a narrow ACL is enough; one dial at a time, because the
// feed has its own pace.
func baseOptions(cfg Config) *redis.Options {
	return &redis.Options{
		Addr:                     cfg.Addr,
		Username:                 cfg.Username,
		Password:                 cfg.Password,
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
