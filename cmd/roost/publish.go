package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"roost/cmd/roost/internal/config"
	"roost/cmd/roost/internal/redisconfig"
	"roost/cmd/roost/internal/remote"
	"roost/internal/plural"
	"roost/redisfeed/publish"
)

type publishCmd struct {
	oneUser
	Notification string `arg:"" optional:"" help:"What to send, such as '{\"type\":\"greeting\",\"payload\":{\"text\":\"hello\"}}'; - reads it from standard input, @notes.json from a file, one notification after the other."`
	Redis        string `placeholder:"HOST:PORT" help:"The Redis to publish on, instead of the one in the environment."`
}

// Run publishes. It checks first what the server would only count and skip.
func (c *publishCmd) Run(env *environment) error {
	user, argument, err := c.arguments()
	if err != nil {
		return err
	}
	return publishNotifications(env, c.Redis, argument, user, true, func(ctx context.Context, p *publish.Publisher, n string) (int64, error) {
		return p.Publish(ctx, user, n)
	})
}

// arguments are the user and the notification. With --user the only word is the notification.
func (c *publishCmd) arguments() (user, notification string, err error) {
	notification = c.Notification
	if c.Flag != "" && notification == "" {
		user, notification = c.Flag, c.User
	} else if user, err = c.user(); err != nil {
		return "", "", err
	}
	if notification == "" {
		return "", "", usageErrorf("what to send? give a notification, such as '{\"type\":\"greeting\",\"payload\":{\"text\":\"hello\"}}'")
	}
	return user, notification, checkRecipient(user)
}

// publishNotifications publishes what an argument says, and says for whom that was. The rest is as for publishOnce.
func publishNotifications(env *environment, address, argument, whom string, forUser bool,
	send func(context.Context, *publish.Publisher, string) (receivers int64, err error),
) error {
	cfg, err := env.config()
	if err != nil {
		return err
	}
	all, err := notifications(env, argument, cfg.WSMaxNotificationSize)
	if err != nil {
		return err
	}
	number := 0
	done, err := publishOnce(env, cfg, address, forUser, func(ctx context.Context, p *publish.Publisher) (receivers int64, err error) {
		for ; number < len(all); number++ {
			one, cancel := context.WithTimeout(ctx, 5*time.Second)
			receivers, err = send(one, p, all[number])
			cancel()
			if err != nil {
				break
			}
		}
		return receivers, err
	})
	switch {
	case err != nil && number > 0:
		return fmt.Errorf("%w; of %d notifications %s published", err, len(all), plural.FirstAre(number))
	case err != nil:
		return err
	}
	what := "published"
	if len(all) > 1 {
		what = fmt.Sprintf("published %d notifications", len(all))
	}
	_, err = fmt.Fprintf(env.stdout, "%s to %s %s\n", what, whom, done)
	return err
}

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
		return p, remote.RedisError("publishing on", p.where, err)
	case p.receivers > 0 || !p.counted:
		return p, nil
	case forUser && cfg.RedisFeed != "pattern":
		return p, fmt.Errorf("published on %s, and nobody got it: no roost that is connected to this Redis has a connection of this user", p.where)
	}
	return p, fmt.Errorf("published on %s, and nobody got it: no roost is connected to this Redis", p.where)
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
	return fmt.Sprintf("on %s; %s got it from Redis, clients are not counted", p.where, plural.Count(p.receivers, "server"))
}

// publisherFor returns the publisher of a command, for the Redis at address, or that of cfg if address is empty; and cfg
// with that address.
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
	redis, err := redisconfig.ForCommands(cfg, nil)
	if err != nil {
		return nil, err
	}
	redis.MinIdleConns = 0
	return publish.New(redis)
}
