package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"roost/cmd/roost/internal/app"
	"roost/cmd/roost/internal/config"
)

// serviceFile is where the documented installation and the Debian package keep the variables of the service.
const serviceFile = "/etc/roost/roost.env"

// environment is what commands get from the process around them.
type environment struct {
	ctx     context.Context // ends at the first SIGINT or SIGTERM
	signals app.Signals     // SIGHUP and SIGUSR2, for commands that serve
	stdin   io.Reader
	stdout  io.Writer // of what steers a terminal nothing passes, nor to stderr
	stderr  io.Writer
	log     io.Writer // standard output as it is: see logging
	program string    // how this program was called, for lines to paste
}

// source returns where a command finds the settings: the environment and the file that ROOST_CONFIG_FILE names, as the
// server does it; where it names none, the file of the service, if this user may read it. Whoever runs a command in a
// shell means the server of this machine, and the shell does not have the server's environment. What is read is said on
// standard error, since a command that shows somebody else's settings misleads.
func (env *environment) source() (config.Source, error) {
	source, err := config.OpenOr(serviceFile)
	switch {
	case errors.Is(err, fs.ErrPermission) && source.Default():
		_, _ = fmt.Fprintf(env.stderr, "roost: %s can't be read by this user: only the environment counts (sudo would read the file)\n", serviceFile)
		return config.Source{}, nil
	case err != nil:
		return source, err
	case source.Default():
		_, _ = fmt.Fprintf(env.stderr, "roost: settings are those of %s; the environment goes first\n", serviceFile)
	}
	return source, nil
}

// config reads the settings without the checks that look at their meaning: for commands that need a few of them.
func (env *environment) config() (config.Config, error) {
	source, err := env.source()
	if err != nil {
		return config.Config{}, err
	}
	return source.Read()
}
