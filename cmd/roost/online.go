package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"roost/cmd/roost/internal/remote"
	"roost/internal/plural"
	"roost/redisfeed/presence"
)

type onlineCmd struct {
	someUsers
	Redis string `placeholder:"HOST:PORT" help:"The Redis to ask, instead of the one in the environment."`
	JSON  bool   `name:"json" help:"Print JSON."`
}

// presenceOf is what is printed of a user.
type presenceOf struct {
	User      string `json:"user"`
	Online    bool   `json:"online"`
	Instances int    `json:"instances"`
}

// Run asks Redis. It ends with 0 when all of them are online, with 1 when one is not, and with 2 when that can't be said.
func (c *onlineCmd) Run(env *environment) error {
	found, written, err := c.ask(env)
	if err != nil {
		return undecided{err}
	}
	if c.JSON {
		err = json.NewEncoder(env.stdout).Encode(found)
	} else {
		err = printOnline(env.stdout, found)
	}
	if err != nil {
		return undecided{err}
	}
	for _, one := range found {
		if !one.Online {
			if !written {
				_, _ = fmt.Fprintln(env.stderr, "roost: REDIS_PRESENCE is not set here; where the servers don't have it, everybody is offline")
			}
			return errSaid
		}
	}
	return nil
}

// ask looks the users up. written is whether the environment says that servers write presence.
func (c *onlineCmd) ask(env *environment) (found []presenceOf, written bool, err error) {
	users, err := c.users()
	for _, user := range users {
		err = errors.Join(err, checkUser(user))
	}
	if err != nil {
		return nil, false, err
	}
	cfg, err := env.config()
	if err != nil {
		return nil, false, err
	}
	publisher, cfg, err := publisherFor(cfg, c.Redis)
	if err != nil {
		return nil, false, err
	}
	defer func() { _ = publisher.Close() }()
	ctx, cancel := context.WithTimeout(env.ctx, 5*time.Second)
	defer cancel()
	instances, err := presence.Online(ctx, publisher, users)
	if err != nil {
		return nil, false, remote.RedisError("asking", cfg.RedisAddr(), err)
	}
	for i, user := range users {
		found = append(found, presenceOf{user, instances[i] > 0, instances[i]})
	}
	return found, cfg.RedisPresence, nil
}

// printOnline prints for reading by eye.
func printOnline(out io.Writer, found []presenceOf) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, one := range found {
		state := "offline"
		switch {
		case one.Online:
			state = "online\ton " + plural.Count(one.Instances, "instance")
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\n", one.User, state)
	}
	return table.Flush()
}
