package main

import "golang.org/x/sys/unix"

// terminals are the standard streams that were a terminal at the start. SIGHUP means two things: an operator wants a
// reload, or the kernel says that the terminal is gone, and then a server that was started by hand must not stay
// behind with the port. Which one it is the terminal says: of one that is gone nothing can be asked.
type terminals []int

func openTerminals() (open terminals) {
	for fd := range 3 {
		if isTerminal(fd) {
			open = append(open, fd)
		}
	}
	return open
}

// gone reports whether any of them is no terminal any more.
func (t terminals) gone() bool {
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
