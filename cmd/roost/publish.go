package main

import (
	"context"
	"errors"
	"fmt"

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
	if err := errors.Join(checkRecipient(c.User), hub.Check(c.Notification)); err != nil {
		return err
	}
	return publishNotification(env, c.Redis, c.Notification, c.User, true, func(ctx context.Context, p *redisfeed.Publisher) (int64, error) {
		return p.Publish(ctx, c.User, c.Notification)
	})
}

// publishNotification publishes a notification whose content is right, and says for whom that was. The rest is as for
// publishOnce.
func publishNotification(env *environment, address, notification, whom string, forUser bool,
	publish func(context.Context, *redisfeed.Publisher) (receivers int64, err error),
) error {
	cfg, err := config.Read()
	if err != nil {
		return err
	}
	if err := checkSize(cfg, notification); err != nil {
		return err
	}
	done, err := publishOnce(env, cfg, address, forUser, publish)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.stdout, "published to %s %s\n", whom, done)
	return err
}

// checkSize says what servers with the same setting would skip.
func checkSize(cfg config.Config, notification string) error {
	if err := hub.CheckSize(notification, cfg.WSMaxNotificationSize); err != nil {
		return fmt.Errorf("%w: raise WS_MAX_NOTIFICATION_SIZE here and on the servers, or send less", err)
	}
	return nil
}
