//go:build linux

package redisconfig

import (
	"log/slog"

	"roost/cmd/roost/internal/config"
	"roost/redisfeed"
)

// New is redisfeed's part of the configuration. The error names the variable whose file can't be used.
func New(cfg config.Config, log *slog.Logger) (redisfeed.Config, error) {
	redis, err := ForCommands(cfg, log)
	feed := redisfeed.Config{
		Config:      redis,
		MaxAttempts: cfg.RedisFeedMaxAttempts, RetryDelay: cfg.RedisFeedRetryDelay,
		FlushWindow: cfg.WSFlushWindow,
	}
	switch cfg.RedisFeed {
	case "user":
		feed.Mode = redisfeed.PerUser
	case "sharded":
		feed.Mode = redisfeed.Sharded
	}
	// The subscription outlives the window, so that the hub has heard all that a returning client missed.
	if feed.UnsubscribeDelay = max(cfg.RedisUnsubscribeDelay, cfg.WSResumeWindow); feed.UnsubscribeDelay == 0 {
		feed.UnsubscribeDelay = -1 // which is how redisfeed says none
	}
	return feed, err
}
