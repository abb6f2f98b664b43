package redisnet

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Options are common to all clients of go-redis. RESP2, because pub/sub over RESP3 lost messages in several releases of
// go-redis and gives us nothing; no CLIENT commands that have to succeed, so that a narrow ACL is enough; one dial at a
// time, because the feed has its own pace.
func (c Config) Options() *redis.Options {
	return &redis.Options{
		Addr:                     c.Addr,
		Username:                 c.Username,
		Password:                 authPassword(c.Username, c.Password),
		OnConnect:                nameConnection(c.ClientName),
		DB:                       c.DB,
		Protocol:                 2,
		DialTimeout:              c.Timeout,
		DialerRetries:            1,
		PipelinePoolSize:         -1,
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

// Retries maps 0 to what go-redis calls none; its own zero value means three.
func Retries(n int) int {
	if n == 0 {
		return -1
	}
	return n
}

// nameConnection returns a function that gives a connection a name, by which CLIENT LIST on the server shows which
// program has it. A user who may not do that, or a server that can't, loses nothing by it. Nil without a name.
func nameConnection(name string) func(context.Context, *redis.Conn) error {
	if name == "" {
		return nil
	}
	return func(ctx context.Context, conn *redis.Conn) error {
		conn.ClientSetName(ctx, name)
		return ctx.Err()
	}
}

// RouteLibraryLog sends go-redis's own log to logger at debug level instead of standard error. go-redis has one logger
// for the whole process, so this is for main to call, once; a Feed must not do it behind the back of others. Debug,
// because the feed reports in its own words whatever it is about.
func RouteLibraryLog(logger *slog.Logger) { redis.SetLogger(libraryLog{logger}) }

type libraryLog struct{ logger *slog.Logger }

// Printf implements go-redis's logging interface.
func (l libraryLog) Printf(ctx context.Context, format string, args ...any) {
	if l.logger.Enabled(ctx, slog.LevelDebug) {
		l.logger.DebugContext(ctx, "go-redis: "+fmt.Sprintf(format, args...))
	}
}
