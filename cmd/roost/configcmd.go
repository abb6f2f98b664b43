package main

import (
	"errors"

	"roost/cmd/roost/internal/config"
)

type configCmd struct{}

// Run prints the configuration, and then what is wrong with it, if anything is:
// the exit code tells scripts.
func (configCmd) Run(env *environment) error {
	source, err := config.Open()
	if err != nil {
		return err
	}
	cfg, problems := source.Load()
	return errors.Join(source.Write(env.stdout, cfg), problems)
}
