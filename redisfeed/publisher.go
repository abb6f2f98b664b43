package redisfeed

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// ChannelPrefix and the user make the name of the channel on which the user's notifications are published.
const ChannelPrefix = "user_noti:"

// ControlPrefix and the user make the name of the channel on which commands about the user's connections are published.
const ControlPrefix = "user_ctl:"

// Publisher publishes notifications on a pool of ordinary connections. Any goroutine may use it.
type Publisher struct {
	client *redis.Client
	cancel context.CancelFunc // ends dials that go-redis started without a context of ours
}

// NewPublisher returns a Publisher for the Redis of cfg. It does not wait for a connection. Of cfg it uses what
// concerns the server and the pool.
func NewPublisher(cfg Config) (*Publisher, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	life, cancel := context.WithCancel(context.Background())
	return &Publisher{client: redis.NewClient(poolOptions(life, cfg)), cancel: cancel}, nil
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

func (p *Publisher) publish(ctx context.Context, channel, payload string) (int64, error) {
	n, err := p.client.Publish(ctx, channel, payload).Result()
	if err != nil {
		return 0, fmt.Errorf("redis publish: %w", explain(err))
	}
	return n, nil
}

// Close closes the connections; publishing fails from then on, also what is under way. Further calls do nothing.
func (p *Publisher) Close() error {
	p.cancel()
	if err := p.client.Close(); err != nil && !errors.Is(err, redis.ErrClosed) {
		return fmt.Errorf("close redis connections: %w", err)
	}
	return nil
}

// poolOptions are the options of the ordinary client. Dials end with life.
func poolOptions(life context.Context, cfg Config) *redis.Options {
	o := baseOptions(cfg)
	d := &dialer{tls: cfg.TLS, timeout: cfg.HeartbeatTimeout}
	o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(life, cancel)()
		return d.dial(ctx, network, addr)
	}
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
