//go:build linux && !client

package main

import (
	"errors"
	"os"
	"runtime"

	"roost/cmd/roost/internal/app"
	"roost/cmd/roost/internal/config"
)

// signals are those that only servers use.
type signals = app.Signals

func catchSignals() signals { return app.CatchSignals() }

// checkFiles says what a start would fail for, of the files that variables name.
func checkFiles(cfg config.Config) error { return app.CheckFiles(cfg) }

// inspectCertificates reads those that variables name.
func inspectCertificates(cfg config.Config) (all []inspected) {
	for _, c := range app.InspectCertificates(cfg, nil) {
		all = append(all, inspected{c.Source, c.Found, c.Texts()})
	}
	return all
}

type serveCmd struct{}

// Run serves until a signal comes, or until the server can't go on.
func (serveCmd) Run(env *environment) error {
	source, err := config.Open()
	if err != nil {
		return err
	}
	terminals := app.OpenTerminals()
	cfg, err := source.Load()
	if err != nil {
		// A missing variable may be there under another name.
		warn(env, source.Unknown(os.Environ()))
		return err
	}
	sockets, err := app.InheritSockets()
	if err != nil {
		return err
	}
	return serve(env, app.Options{Source: source, Config: cfg, Sockets: sockets,
		Reload: env.signals.HangUp, Terminals: terminals})
}

// serve runs the service for a command.
func serve(env *environment, options app.Options) error {
	keepProfiles(options.Config)
	options.Log, options.Upgrade = env.log, env.signals.Upgrade
	err := app.Run(env.ctx, options)
	if errors.Is(err, app.ErrLogged) {
		return errSaid
	}
	return err
}

// keepProfiles turns Go's memory profile off where nobody can read it. Its tables are not collected, and grow to 2 MB.
func keepProfiles(cfg config.Config) {
	if !cfg.HTTPPProf {
		runtime.MemProfileRate = 0
	}
}
