package main

import (
	"roost/bench/roostbench/internal/crowd"
)

type memberCmd struct {
	targetFlags
	Connections int `required:"" help:"How many to hold."`
}

// Run obeys orders on standard input until it ends.
func (c *memberCmd) Run(env *environment) error {
	cfg, err := c.config()
	if err != nil {
		return err
	}
	if err := roomForFiles(); err != nil {
		return err
	}
	return crowd.Serve(env.ctx, cfg, c.Connections, c.pace(), env.stdin, env.stdout)
}
