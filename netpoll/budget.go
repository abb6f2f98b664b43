package netpoll

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Budget says how many sockets and connections the descriptor limit leaves.
type Budget struct {
	Descriptors int // what the process may open, RLIMIT_NOFILE's soft limit
	Sockets     int // of these for clients, in whatever state: Rules.MaxSockets
	Connections int // of these for admitted connections; the rest lets refusals and /health be answered
}

// Descriptors returns the process's limit on open files. The Go runtime has
// raised the soft limit to the hard one by the time main runs.
func Descriptors() (int, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("reading the limit on open files (RLIMIT_NOFILE): %w", err)
	}
	return int(min(limit.Cur, 1<<30)), nil
}

// OwnDescriptors is how many descriptors a Server with so many loops opens for
// itself: each loop's epoll and bell, the listener, and one that is kept aside.
func OwnDescriptors(loops int) int { return 2*loops + 2 }

// NewBudget divides descriptors. reserved is what everything but client sockets
// may need (the server itself, Redis, the side server). wanted bounds the
// connections; 0 does not.
//
// Sockets that are not connections (yet, or any more) have a share of their own,
// so that refusals and /health are answered when all connections are there: a
// sixteenth of the descriptors, 16 to 512. Where descriptors abound it is a
// quarter of the connections, 512 at least: enough for a storm of reconnects,
// and a bound for clients who only ever begin.
func NewBudget(descriptors, reserved, wanted int) Budget {
	sockets := max(descriptors-reserved, 2)
	connections := max(sockets-min(max(sockets/16, 16), 512), 1)
	if wanted > 0 {
		connections = min(connections, wanted)
	}
	sockets = min(sockets, connections+max(512, connections/4))
	return Budget{Descriptors: descriptors, Sockets: sockets, Connections: connections}
}
