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
	done, err := publishControl(env, c.Redis, user, command, err)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.stdout, "told to disconnect %s %s\n", user, done)
	return err
}

// publishControl publishes a command for the connections of a user, unless something is wrong with the user or the command, and says
// how far it came.
func publishControl(env *environment, redis, user, command string, wrong error) (published, error) {
	if err := errors.Join(checkRecipient(user), misused(wrong)); err != nil {
		return published{}, err
	}
	cfg, err := env.config()
	if err != nil {
		return published{}, err
	}
	return publishOnce(env, cfg, redis, false, func(ctx context.Context, p *publish.Publisher) (int64, error) {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		return p.PublishControl(ctx, user, command)
	})
}

// command is what is published.
func (c *disconnectCmd) command() (string, error) {
	type disconnect struct {
		Code   int    `json:"code"`
		Reason string `json:"reason"`
	}
	return controlText(map[string]disconnect{"disconnect": {c.Code, c.Reason}})
}

// controlText is the text of a command for connections, checked as the server does it.
func controlText(command any) (string, error) {
	text, err := json.Marshal(command)
	if err != nil {
		return "", fmt.Errorf("writing the command: %w", err)
	}
	if err := hub.CheckControl(string(text)); err != nil {
		return "", fmt.Errorf("not a command as it has to be: %w", err)
	}
	return string(text), nil
}
