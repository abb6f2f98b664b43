package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"roost/cmd/roost/internal/config"
	"roost/redisfeed"
)

// publishOnce publishes for a command, on the Redis at address or, where that is empty, of cfg, and returns which that is
// and how many servers heard it. It is an error that none did.
func publishOnce(env *environment, cfg config.Config, address string,
	publish func(context.Context, *redisfeed.Publisher) (receivers int64, err error),
) (where string, receivers int64, err error) {
	publisher, where, err := publisherFor(cfg, address)
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = publisher.Close() }()
	ctx, cancel := context.WithTimeout(env.ctx, 5*time.Second)
	defer cancel()
	receivers, err = publish(ctx, publisher)
	switch {
	case err != nil:
		return where, 0, fmt.Errorf("publishing on %s: %w", where, err)
	case receivers == 0:
		return where, 0, fmt.Errorf("nobody listens on %s: no roost is connected to it", where)
	}
	return where, receivers, nil
}

// publisherFor is the publisher of a command, for the Redis at address or, where that is empty, of cfg, and which that is.
func publisherFor(cfg config.Config, address string) (p *redisfeed.Publisher, where string, err error) {
	if address != "" {
		if cfg, err = withRedis(cfg, address); err != nil {
			return nil, "", err
		}
	}
	redisfeed.RouteLibraryLog(slog.New(slog.DiscardHandler)) // the error says it all
	p, err = oneShot(cfg)
	return p, cfg.RedisAddr(), err
}

// withRedis replaces the address of Redis.
func withRedis(cfg config.Config, address string) (config.Config, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return cfg, fmt.Errorf("--redis %q: it has to be host:port, such as localhost:6379", address)
	}
	number, err := strconv.Atoi(port)
	if err != nil || number < 1 || number > 65535 {
		return cfg, fmt.Errorf("--redis %q: the port has to be a number from 1 to 65535", address)
	}
	cfg.RedisHost, cfg.RedisPort = host, number
	cfg.RedisAddrs, cfg.RedisMasterName = nil, ""
	return cfg, nil
}

// oneShot publishes on the Redis of cfg for a single command: no connections
// ahead of need.
func oneShot(cfg config.Config) (*redisfeed.Publisher, error) {
	feed, err := feedConfig(cfg, nil)
	if err != nil {
		return nil, err
	}
	feed.MinIdleConns = 0
	return redisfeed.NewPublisher(feed)
}
