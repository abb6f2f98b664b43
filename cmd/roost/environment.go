package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"roost/cmd/roost/internal/config"
)

// serviceFile is where the documented installation keeps the variables of the service.
const serviceFile = "/etc/roost/roost.env"

// environment is what commands get from the process around them.
type environment struct {
	ctx     context.Context // ends at the first SIGINT or SIGTERM
	signals signals         // SIGHUP and SIGUSR2, for commands that serve
	stdin   io.Reader
	stdout  io.Writer // of what steers a terminal nothing passes, nor to stderr
	stderr  io.Writer
	log     io.Writer // standard output as it is: see logging
	program string    // how this program was called, for lines to paste
	service string    // the file of the service; empty: serviceFile
	told    bool      // which settings the command has was said: once is enough
}

// source returns where a command finds the settings: the environment and the file that ROOST_CONFIG_FILE names, as the
// server does; if it names none, the file of the service, if this user may read it. A command in a shell is about the
// server of this machine, and the shell does not have the server's environment. The command says on standard error
// which file it read, since somebody else's settings would mislead.
func (env *environment) source() (config.Source, error) {
	file := cmp.Or(env.service, serviceFile)
	source, err := config.OpenOr(file)
	switch {
	case errors.Is(err, fs.ErrPermission) && source.Default():
		env.tell("%s can't be read by this user: only the environment counts (sudo would read the file)", file)
		return config.Source{}, nil
	case err != nil:
		return source, err
	case source.Default():
		env.tell("settings are those of %s; the environment goes first", file)
	}
	return source, nil
}

// tell says on standard error where the settings are from, the first time that they are read.
func (env *environment) tell(format string, args ...any) {
	if !env.told {
		_, _ = fmt.Fprintf(env.stderr, "roost: "+format+"\n", args...)
	}
	env.told = true
}

// config reads the settings without the checks that look at their meaning: for commands that need a few of them.
func (env *environment) config() (config.Config, error) {
	source, err := env.source()
	if err != nil {
		return config.Config{}, err
	}
	return source.Read()
}
