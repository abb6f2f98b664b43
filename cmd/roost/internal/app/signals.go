package app

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// Signals are SIGHUP, which reloads, and SIGUSR2, which upgrades. Uncaught, SIGHUP ends a Go program and SIGUSR2 is lost. So
// main catches both first of all, and a server keeps them caught to its end. A signal that is not received yet waits in its
// channel.
type Signals struct {
	HangUp  chan os.Signal
	Upgrade chan os.Signal
}

// CatchSignals is called once, at the beginning of main.
func CatchSignals() Signals {
	s := Signals{HangUp: make(chan os.Signal, 1), Upgrade: make(chan os.Signal, 1)}
	signal.Notify(s.HangUp, syscall.SIGHUP)
	signal.Notify(s.Upgrade, syscall.SIGUSR2)
	return s
}

// ReleaseHangUp makes SIGHUP end the process again, a SIGHUP that has already arrived included. It is for commands that end
// with their terminal.
func (s Signals) ReleaseHangUp() {
	signal.Stop(s.HangUp) // waits until what has come is in the channel
	select {
	case <-s.HangUp:
		_ = syscall.Kill(os.Getpid(), syscall.SIGHUP)
	default:
	}
}

// Terminals are the standard streams that were a terminal at the start. SIGHUP means that an operator asks for a reload, or
// that the terminal is gone; then a server that was started by hand has to stop. A terminal that is gone fails an ioctl.
type Terminals []int

// OpenTerminals returns those of this process.
func OpenTerminals() (open Terminals) {
	for fd := range 3 {
		if isTerminal(fd) {
			open = append(open, fd)
		}
	}
	return open
}

// gone reports whether one of them is gone.
func (t Terminals) gone() bool {
	for _, fd := range t {
		if !isTerminal(fd) {
			return true
		}
	}
	return false
}

func isTerminal(fd int) bool {
	_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	return err == nil
}
