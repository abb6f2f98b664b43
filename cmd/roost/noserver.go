//go:build !linux || client

package main

import (
	"errors"

	"roost/cmd/roost/internal/config"
)

// errNotLinux is what all commands end with that need a server on this machine.
var errNotLinux = errors.New("the server needs Linux; this program has its other commands: token, publish, listen, why (roost --help).\n" +
	"To try the server here, run it in a container: in a copy of the source, docker compose -f compose.demo.yaml up --build")

type serveCmd struct{}

// Run says where the server runs.
func (serveCmd) Run() error { return errNotLinux }

type demoCmd struct {
	Args []string `arg:"" optional:"" passthrough:"" hidden:""`
}

// Run says where the demo runs.
func (demoCmd) Run() error { return errNotLinux }

type doctorCmd struct {
	Args []string `arg:"" optional:"" passthrough:"" hidden:""`
}

// Run says whose limits doctor reads.
func (doctorCmd) Run() error {
	return errors.New("doctor reads the limits of the Linux host that the server runs on: run it there, or in the server's container")
}

type upgradeCmd struct {
	Args []string `arg:"" optional:"" passthrough:"" hidden:""`
}

// Run says where servers are upgraded.
func (upgradeCmd) Run() error {
	return errors.New("upgrade starts a new process of the server on this machine: run it on the Linux host that the server runs on")
}

// checkFiles is for the machine that has the files.
func checkFiles(config.Config) error {
	return errors.New("roost config --check reads the server's files: run it where the server runs")
}

// inspectCertificates reads none, for the same reason.
func inspectCertificates(config.Config) []inspected { return nil }

// signals are those that only servers use.
type signals struct{}

func catchSignals() signals { return signals{} }

// ReleaseHangUp does nothing: none is caught.
func (signals) ReleaseHangUp() {}
