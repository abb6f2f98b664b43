// Package redisconfig makes redisfeed's configuration from the variables, for the service and for commands.
package redisconfig

import (
	"log/slog"
	"os"
	"strings"

	"roost/cmd/roost/internal/config"
	"roost/redisfeed"
	"roost/redisfeed/publish"
)

// New is redisfeed's part of the configuration. The error names the variable whose file can't be used.
func New(cfg config.Config, log *slog.Logger) (redisfeed.Config, error) {
	feed := redisfeed.Config{
		Config: publish.Config{
			Username: cfg.RedisUsername, Password: cfg.RedisPassword, DB: cfg.RedisDB,
			MaxRetries: cfg.RedisMaxRetries, MinIdleConns: cfg.RedisMinIdleConns,
			PoolSize: cfg.RedisPoolSize, PoolTimeout: cfg.RedisPoolTimeout,
			ConnMaxIdleTime: cfg.RedisConnMaxIdleTime, ConnMaxLifetime: cfg.RedisConnMaxLifetime,
			Sharded: cfg.RedisFeed == "sharded", ClientName: clientName(), Logger: log,
		},
		MaxAttempts: cfg.RedisFeedMaxAttempts, RetryDelay: cfg.RedisFeedRetryDelay,
		FlushWindow: cfg.WSFlushWindow,
	}
	switch cfg.RedisFeed {
	case "user":
		feed.Mode = redisfeed.PerUser
	case "sharded":
		feed.Mode = redisfeed.Sharded
	}
	if feed.UnsubscribeDelay = cfg.RedisUnsubscribeDelay; feed.UnsubscribeDelay == 0 {
		feed.UnsubscribeDelay = -1 // which is how redisfeed says none
	}
	switch {
	case cfg.RedisCluster:
		feed.Nodes = cfg.RedisNodes()
	case cfg.Sentinel():
		feed.Sentinels, feed.MasterName = cfg.RedisAddrs, cfg.RedisMasterName
		feed.SentinelUsername, feed.SentinelPassword = cfg.RedisSentinelUsername, cfg.RedisSentinelPassword
	default:
		feed.Addr = cfg.RedisAddr()
	}
	var err error
	if cfg.RedisUseTLS {
		feed.TLS, err = redisTLS(cfg)
	}
	return feed, err
}

// clientName is what Redis calls our connections: roost and the host, in characters that CLIENT SETNAME takes.
func clientName() string {
	return "roost-" + strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '_'
		}
		return r
	}, host())
}

func host() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown host"
	}
	return name
}
