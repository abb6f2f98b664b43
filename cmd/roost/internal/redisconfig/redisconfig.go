// Package redisconfig makes redisfeed's configuration from the variables, for the service and for commands.
package redisconfig

import (
	"log/slog"
	"os"
	"strings"

	"roost/cmd/roost/internal/config"
	"roost/redisfeed/publish"
)

// ForCommands is what publishing and presence need of it. The error names the variable whose file can't be used.
func ForCommands(cfg config.Config, log *slog.Logger) (publish.Config, error) {
	redis := publish.Config{
		Username: cfg.RedisUsername, Password: cfg.RedisPassword, DB: cfg.RedisDB,
		MaxRetries: cfg.RedisMaxRetries, MinIdleConns: cfg.RedisMinIdleConns,
		PoolSize: cfg.RedisPoolSize, PoolTimeout: cfg.RedisPoolTimeout,
		ConnMaxIdleTime: cfg.RedisConnMaxIdleTime, ConnMaxLifetime: cfg.RedisConnMaxLifetime,
		Sharded: cfg.RedisFeed == "sharded", ClientName: clientName(), Logger: log,
	}
	switch {
	case cfg.RedisCluster:
		redis.Nodes = cfg.RedisNodes()
	case cfg.Sentinel():
		redis.Sentinels, redis.MasterName = cfg.RedisAddrs, cfg.RedisMasterName
		redis.SentinelUsername, redis.SentinelPassword = cfg.RedisSentinelUsername, cfg.RedisSentinelPassword
	default:
		redis.Addr = cfg.RedisAddr()
	}
	var err error
	if cfg.RedisUseTLS {
		redis.TLS, err = redisTLS(cfg)
	}
	return redis, err
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
