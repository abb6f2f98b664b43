package main

import (
	"os"
	"os/signal"
	"syscall"
)

// signals are the two that give a server orders: SIGHUP to reload, SIGUSR2 to upgrade. Uncaught, SIGHUP ends a Go program
// and SIGUSR2 is lost. So main catches them first of all, and a server never gives them back: it is not ended by one,
// however early or late it comes. A signal that is not received yet waits in its channel.
type signals struct {
	hangUp  chan os.Signal
	upgrade chan os.Signal
}

// catchSignals is called once, at the very beginning.
func catchSignals() signals {
	s := signals{hangUp: make(chan os.Signal, 1), upgrade: make(chan os.Signal, 1)}
	signal.Notify(s.hangUp, syscall.SIGHUP)
	signal.Notify(s.upgrade, syscall.SIGUSR2)
	return s
}

// giveBackHangUp has SIGHUP end the process again, also one that has come already: for what ends with its terminal.
func (s signals) giveBackHangUp() {
	signal.Stop(s.hangUp) // waits until what has come is in the channel
	select {
	case <-s.hangUp:
		_ = syscall.Kill(os.Getpid(), syscall.SIGHUP)
	default:
	}
}
