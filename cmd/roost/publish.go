package main

import (
	"context"
	"fmt"
	"time"

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
		return fmt.Errorf("%w; of %d notifications the first %d are published", err, len(all), number)
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
