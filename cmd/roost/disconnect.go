package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"roost/hub"
	"roost/redisfeed/publish"
)

type disconnectCmd struct {
	oneUser
	Code   int    `default:"4403" help:"The close code: 1000, 1008, or 3000 to 4999."`
	Reason string `default:"disconnected" help:"The close reason, at most 123 bytes."`
	Redis  string `placeholder:"HOST:PORT" help:"The Redis to publish on, instead of the one in the environment."`
}

// Run publishes the command. It refuses first what a server would only log.
func (c *disconnectCmd) Run(env *environment) error {
	user, err := c.user()
	if err != nil {
		return err
	}
	command, err := c.command()
	if err := errors.Join(checkRecipient(user), misused(err)); err != nil {
		return err
	}
	cfg, err := env.config()
	if err != nil {
		return err
	}
	done, err := publishOnce(env, cfg, c.Redis, false, func(ctx context.Context, p *publish.Publisher) (int64, error) {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		return p.PublishControl(ctx, user, command)
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.stdout, "told to disconnect %s %s\n", user, done)
	return err
}

// command is what is published, checked as the server does it.
func (c *disconnectCmd) command() (string, error) {
	type disconnect struct {
		Code   int    `json:"code"`
		Reason string `json:"reason"`
	}
	command, err := json.Marshal(map[string]disconnect{"disconnect": {c.Code, c.Reason}})
	if err != nil {
		return "", fmt.Errorf("writing the command: %w", err)
	}
	if err := hub.CheckControl(string(command)); err != nil {
		return "", fmt.Errorf("not a command as it has to be: %w", err)
	}
	return string(command), nil
}
