package main

import (
	"fmt"

	"roost/cmd/roost/internal/version"
)

type versionCmd struct{}

// Run prints the version.
func (versionCmd) Run(env *environment) error {
	_, err := fmt.Fprintln(env.stdout, "roost", version.Text())
	return err
}
