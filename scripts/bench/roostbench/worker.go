package main

import (
	"roost/bench/roostbench/internal/controller"
)

type workerCmd struct {
	targetFlags
	Connections int `required:"" help:"How many to hold."`
}

// Run runs the commands that come on standard input until it ends.
func (c *workerCmd) Run(env *environment) error {
	cfg, err := c.config()
	if err != nil {
		return err
	}
	if err := roomForFiles(); err != nil {
		return err
	}
	return controller.Serve(env.ctx, cfg, c.Connections, c.pace(), env.stdin, env.stdout)
}
