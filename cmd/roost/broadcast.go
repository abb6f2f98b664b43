package main

import (
	"context"

	"roost/internal/names"
	"roost/redisfeed/publish"
)

type broadcastCmd struct {
	Notification string  `arg:"" help:"What to send, such as '{\"type\":\"maintenance\",\"payload\":{\"at\":\"22:00\"}}'; - reads it from standard input, @notes.json from a file, one notification after the other."`
	Group        *string `placeholder:"NAME" help:"Only to those whose token has this group in its claim groups."`
	Redis        string  `placeholder:"HOST:PORT" help:"The Redis to publish on, instead of the one in the environment."`
}

// Run publishes. It checks first what the server would only count and skip.
func (c *broadcastCmd) Run(env *environment) error {
	if err := c.checkGroup(); err != nil {
		return err
	}
	whom := "everyone"
	if c.Group != nil {
		whom = "the group " + *c.Group
	}
	return publishNotifications(env, c.Redis, c.Notification, whom, false, func(ctx context.Context, p *publish.Publisher, n string) (int64, error) {
		if c.Group == nil {
			return p.PublishAll(ctx, n)
		}
		return p.PublishGroup(ctx, *c.Group, n)
	})
}

// checkGroup says that nobody can be in such a group.
func (c *broadcastCmd) checkGroup() error {
	if c.Group == nil {
		return nil
	}
	return checkRecipients(*c.Group)
}

// checkGroup says what the server would refuse.
func checkGroup(group string) error {
	if !names.ValidGroup(group) {
		return usageErrorf("group %q: the name of a group has 1 to %d bytes of UTF-8, without control characters", group, names.MaxGroup)
	}
	return nil
}
