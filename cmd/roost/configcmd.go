package main

import (
	"errors"

	"roost/cmd/roost/internal/config"
)

type configCmd struct{}

// Run prints the configuration, and then what is wrong with it, if anything is:
// the exit code tells scripts.
func (configCmd) Run(env *environment) error {
	cfg, problems := config.Load()
	return errors.Join(cfg.Write(env.stdout), problems)
}
