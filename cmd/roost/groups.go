package main

import (
	"errors"
	"fmt"
	"strings"
)

type groupsCmd struct {
	oneUser
	Join  []string `sep:"none" placeholder:"GROUP" help:"A group that the user's connections join; may be given several times."`
	Leave []string `sep:"none" placeholder:"GROUP" help:"A group that they leave, before they join others; may be given several times."`
	Redis string   `placeholder:"HOST:PORT" help:"The Redis to publish on, instead of the one in the environment."`
}

// Run publishes the command. It refuses first what a server would only log.
func (c *groupsCmd) Run(env *environment) error {
	user, err := c.user()
	if err != nil {
		return err
	}
	command, err := c.command()
	done, err := publishControl(env, c.Redis, user, command, err)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.stdout, "told to have the connections of %s %s %s\n", user, c.what(), done)
	return err
}

// what says what the connections do.
func (c *groupsCmd) what() string {
	var parts []string
	if len(c.Leave) > 0 {
		parts = append(parts, "leave "+strings.Join(c.Leave, ", "))
	}
	if len(c.Join) > 0 {
		parts = append(parts, "join "+strings.Join(c.Join, ", "))
	}
	return strings.Join(parts, " and ")
}

// command is what is published.
func (c *groupsCmd) command() (string, error) {
	if len(c.Join) == 0 && len(c.Leave) == 0 {
		return "", errors.New("which groups? name one with --join or --leave")
	}
	for _, group := range append(append([]string(nil), c.Join...), c.Leave...) {
		if err := checkRecipients(group); err != nil {
			return "", err
		}
	}
	return controlText(struct {
		Join  []string `json:"join,omitempty"`
		Leave []string `json:"leave,omitempty"`
	}{c.Join, c.Leave})
}
