package publish

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync"

	"github.com/redis/go-redis/v9"

	"roost/redisfeed/internal/pool"
	"roost/redisfeed/internal/redisnet"
)

// ChannelPrefix and the user make the name of the channel on which the user's notifications are published.
const ChannelPrefix = "user_noti:"

// AllChannel is the channel on which notifications for everybody are published.
const AllChannel = "user_noti_all"

// GroupPrefix and a group make the name of the channel on which notifications for the group's members are published.
const GroupPrefix = "group_noti:"

// ControlPrefix and the user make the name of the channel on which commands about the user's connections are published.
const ControlPrefix = "user_ctl:"

// Config says which Redis to publish on, and with which connections.
type Config = redisnet.Config

// ErrAuth is wrapped by errors about what Redis refused because of the user name, the password or the user's permissions.
var ErrAuth = redisnet.ErrAuth

// RouteLibraryLog sends go-redis's own log to logger at debug level instead of standard error. go-redis has one logger for
// the whole process, so this is for main to call, once.
func RouteLibraryLog(logger *slog.Logger) { redisnet.RouteLibraryLog(logger) }

// Publisher publishes notifications on a pool of ordinary connections. Any goroutine may use it.
//
// With Sentinel it asks where the master is before it publishes for the first time, and again after it has failed. A former
// master accepts publications all the same; only a feed notices that, for its own Publisher.
type Publisher struct {
	pool    *pool.Pool
	numbers func() []int32 // slotNumbers, made once
}

// New returns a Publisher for the Redis of cfg. It does not wait for a connection.
func New(cfg Config) (*Publisher, error) {
	if cfg.Needs == "" {
		cfg.Needs = needs(cfg)
	}
	p, err := pool.New(cfg)
	if err != nil {
		return nil, err
	}
	return &Publisher{p, sync.OnceValue(slotNumbers)}, nil
}

// On returns a Publisher that publishes on the connections of p, and closes them.
func On(p *pool.Pool) *Publisher { return &Publisher{p, sync.OnceValue(slotNumbers)} }

// needs is what the user of the Redis ACL needs to publish.
func needs(cfg Config) string {
	commands := "+publish"
	if cfg.Sharded {
		commands += " +spublish"
	}
	if len(cfg.Nodes) > 0 {
		commands += " +cluster|slots"
	}
	if cfg.DB > 0 {
		commands += " +select"
	}
	return fmt.Sprintf("%s &%s* &%s* &%s &%s*", commands, ChannelPrefix, ControlPrefix, AllChannel, GroupPrefix)
}

// Publish publishes a payload for a user, with SPUBLISH if Config.Sharded, and returns how many subscribers Redis handed it
// to: the number of Roost instances with a pattern, whether or not the user is connected to one, and with a channel for
// each user the number of those where the user is. Without Sharded a cluster's node counts its own subscribers only. It
// returns by ctx's deadline, or after Config.AnswerTimeout; a mere cancellation is seen only between
// its steps. A refusal wraps ErrAuth.
func (p *Publisher) Publish(ctx context.Context, user, payload string) (receivers int64, err error) {
	if p.pool.Config().Sharded {
		return p.send(ctx, redis.UniversalClient.SPublish, ChannelPrefix+user, payload)
	}
	return p.PublishTo(ctx, ChannelPrefix+user, payload)
}

// PublishAll publishes a payload for everybody with PUBLISH, as Publish does.
func (p *Publisher) PublishAll(ctx context.Context, payload string) (receivers int64, err error) {
	return p.PublishTo(ctx, AllChannel, payload)
}

// PublishGroup publishes a payload for the members of a group with PUBLISH, as Publish does.
func (p *Publisher) PublishGroup(ctx context.Context, group, payload string) (receivers int64, err error) {
	return p.PublishTo(ctx, GroupPrefix+group, payload)
}

// PublishControl publishes a command about a user's connections with PUBLISH, as Publish does.
func (p *Publisher) PublishControl(ctx context.Context, user, command string) (receivers int64, err error) {
	return p.PublishTo(ctx, ControlPrefix+user, command)
}

// PublishTo publishes a payload on a channel with PUBLISH, as Publish does.
func (p *Publisher) PublishTo(ctx context.Context, channel, payload string) (receivers int64, err error) {
	n, err := p.send(ctx, redis.UniversalClient.Publish, channel, payload)
	if redisnet.NotReached(err) {
		return p.publishElsewhere(ctx, channel, payload, err)
	}
	return n, err
}

// PublishOnce is PublishTo for what must not arrive twice: go-redis does not try again when the connection is lost before
// the answer.
func (p *Publisher) PublishOnce(ctx context.Context, channel, payload string) error {
	client, err := p.pool.Client(ctx)
	if err != nil {
		return fmt.Errorf("redis publish: %w", err)
	}
	if err = client.Process(ctx, once{redis.NewIntCmd(ctx, "publish", channel, payload)}); err != nil {
		return fmt.Errorf("redis publish: %w", p.pool.Config().Explain(err))
	}
	return nil
}

// once is a command that is not tried again.
type once struct{ *redis.IntCmd }

// NoRetry implements redis.Cmder.
func (once) NoRetry() bool { return true }

// publishElsewhere publishes on another node of a cluster than go-redis would, which can't be reached: each takes PUBLISH
// for all. err is the error otherwise.
func (p *Publisher) publishElsewhere(ctx context.Context, channel, payload string, err error) (int64, error) {
	pool, _ := p.pool.Client(ctx)
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
		case !redisnet.NotReached(failed):
			return 0, fmt.Errorf("redis publish: %w", p.pool.Config().Explain(failed))
		}
	}
	return 0, err
}

// send publishes with PUBLISH or SPUBLISH.
func (p *Publisher) send(
	ctx context.Context, command func(redis.UniversalClient, context.Context, string, any) *redis.IntCmd, channel, payload string,
) (int64, error) {
	client, err := p.pool.Client(ctx)
	if err != nil {
		return 0, fmt.Errorf("redis publish: %w", err)
	}
	n, err := command(client, ctx, channel, payload).Result()
	if err != nil {
		p.pool.Doubt()
		return 0, fmt.Errorf("redis publish: %w", p.pool.Config().Explain(err))
	}
	return n, nil
}

// Pool is the connections, for the packages beside this one.
func (p *Publisher) Pool() *pool.Pool { return p.pool }

// Addr is the Redis that is published on; empty while it is not known.
func (p *Publisher) Addr() string { return p.pool.Addr() }

// Close closes the connections; publishing fails from then on, also what is under way. Further calls do nothing.
func (p *Publisher) Close() error { return p.pool.Close() }
