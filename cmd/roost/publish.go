package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"roost/cmd/roost/internal/config"
	"roost/hub"
	"roost/redisfeed"
)

type publishCmd struct {
	User         string `arg:"" help:"The user to notify."`
	Notification string `arg:"" help:"What to send, such as '{\"type\":\"greeting\",\"payload\":{\"text\":\"hello\"}}'."`
	Redis        string `placeholder:"HOST:PORT" help:"The Redis to publish on, instead of the one in the environment."`
}

// Run publishes. It checks first what the server would only count and skip.
func (c *publishCmd) Run(env *environment) error {
	if err := errors.Join(checkUser(c.User), hub.Check(c.Notification)); err != nil {
		return err
	}
	cfg, err := config.Read()
	if err != nil {
		return err
	}
	if err := hub.CheckSize(c.Notification, cfg.WSMaxNotificationSize); err != nil {
		return fmt.Errorf("%w: raise WS_MAX_NOTIFICATION_SIZE here and on the servers, or send less", err)
	}
	if c.Redis != "" {
		if cfg, err = withRedis(cfg, c.Redis); err != nil {
			return err
		}
	}
	redisfeed.RouteLibraryLog(slog.New(slog.DiscardHandler)) // the error says it all
	publisher, err := oneShot(cfg)
	if err != nil {
		return err
	}
	defer func() { _ = publisher.Close() }()
	ctx, cancel := context.WithTimeout(env.ctx, 5*time.Second)
	defer cancel()
	receivers, err := publisher.Publish(ctx, c.User, c.Notification)
	if err != nil {
		return fmt.Errorf("publishing on %s: %w", cfg.RedisAddr(), err)
	}
	if receivers == 0 {
		return fmt.Errorf("nobody listens on %s: no roost is connected to it", cfg.RedisAddr())
	}
	_, err = fmt.Fprintf(env.stdout, "published to %s on %s; servers that heard it: %d\n", c.User, cfg.RedisAddr(), receivers)
	return err
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
