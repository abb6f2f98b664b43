package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strconv"

	"roost/cmd/roost/internal/config"
	"roost/redisfeed/publish"
)

// publishOnce has send called for a command, on the Redis at address or, where that is empty, of cfg. forUser says that it is a
// notification for a user, which the servers may hear one user at a time. It is an error that surely nobody has heard it.
func publishOnce(env *environment, cfg config.Config, address string, forUser bool,
	send func(context.Context, *publish.Publisher) (receivers int64, err error),
) (published, error) {
	publisher, cfg, err := publisherFor(cfg, address)
	if err != nil {
		return published{}, err
	}
	defer func() { _ = publisher.Close() }()
	p := published{where: cfg.RedisAddr(), counted: !cfg.RedisCluster || forUser && cfg.RedisFeed == "sharded"}
	p.receivers, err = send(env.ctx, publisher)
	switch {
	case err != nil:
		return p, redisError("publishing on", p.where, err)
	case p.receivers > 0 || !p.counted:
		return p, nil
	case forUser && cfg.RedisFeed != "pattern":
		return p, fmt.Errorf("nobody listens for this user on %s: no roost that is connected to it has a connection of theirs", p.where)
	}
	return p, fmt.Errorf("nobody listens on %s: no roost is connected to it", p.where)
}

// published is what became of something that was published.
type published struct {
	where     string // the Redis
	receivers int64
	counted   bool // receivers is how many servers there were: a cluster's node counts its own subscribers only
}

// String is the end of the sentence that a command prints.
func (p published) String() string {
	if !p.counted {
		return fmt.Sprintf("on %s; a cluster does not say how many servers got it", p.where)
	}
	if p.receivers == 1 {
		return fmt.Sprintf("on %s; 1 server got it from Redis, clients are not counted", p.where)
	}
	return fmt.Sprintf("on %s; %d servers got it from Redis, clients are not counted", p.where, p.receivers)
}

// publisherFor is the publisher of a command, for the Redis at address or, where that is empty, of cfg, and cfg as it is
// for that.
func publisherFor(cfg config.Config, address string) (*publish.Publisher, config.Config, error) {
	if address != "" {
		var err error
		if cfg, err = withRedis(cfg, address); err != nil {
			return nil, cfg, err
		}
	}
	publish.RouteLibraryLog(slog.New(slog.DiscardHandler)) // the error says it all
	p, err := oneShot(cfg)
	return p, cfg, err
}

// withRedis replaces the address of Redis.
func withRedis(cfg config.Config, address string) (config.Config, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return cfg, usageErrorf("--redis %q: it has to be host:port, such as localhost:6379", address)
	}
	number, err := strconv.Atoi(port)
	if err != nil || number < 1 || number > 65535 {
		return cfg, usageErrorf("--redis %q: the port has to be a number from 1 to 65535", address)
	}
	cfg.RedisHost, cfg.RedisPort = host, number
	if cfg.RedisMasterName = ""; !cfg.RedisCluster {
		cfg.RedisSentinelUsername, cfg.RedisSentinelPassword = "", ""
	}
	cfg.RedisAddrs = nil
	return cfg, nil
}

// oneShot publishes on the Redis of cfg for a single command: no connections
// ahead of need.
func oneShot(cfg config.Config) (*publish.Publisher, error) {
	feed, err := feedConfig(cfg, nil)
	if err != nil {
		return nil, err
	}
	feed.MinIdleConns = 0
	return publish.New(feed.Config)
}
