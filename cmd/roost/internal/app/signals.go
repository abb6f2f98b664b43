package app

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// Signals are the two that give a server orders: SIGHUP to reload, SIGUSR2 to upgrade. Uncaught, SIGHUP ends a Go program
// and SIGUSR2 is lost. So main catches them first of all, and a server never gives them back: it is not ended by one,
// however early or late it comes. A signal that is not received yet waits in its channel.
type Signals struct {
	HangUp  chan os.Signal
	Upgrade chan os.Signal
}

// CatchSignals is called once, at the very beginning.
func CatchSignals() Signals {
	s := Signals{HangUp: make(chan os.Signal, 1), Upgrade: make(chan os.Signal, 1)}
	signal.Notify(s.HangUp, syscall.SIGHUP)
	signal.Notify(s.Upgrade, syscall.SIGUSR2)
	return s
}

// ReleaseHangUp has SIGHUP end the process again, also one that has come already: for what ends with its terminal.
func (s Signals) ReleaseHangUp() {
	signal.Stop(s.HangUp) // waits until what has come is in the channel
	select {
	case <-s.HangUp:
		_ = syscall.Kill(os.Getpid(), syscall.SIGHUP)
	default:
	}
}

// Terminals are the standard streams that were a terminal at the start. SIGHUP means two things: an operator wants a
// reload, or the kernel says that the terminal is gone, and then a server that was started by hand must not stay
// behind with the port. Which one it is the terminal says: of one that is gone nothing can be asked.
type Terminals []int

// OpenTerminals finds them.
func OpenTerminals() (open Terminals) {
	for fd := range 3 {
		if isTerminal(fd) {
			open = append(open, fd)
		}
	}
	return open
}

// gone reports whether any of them is no terminal any more.
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
