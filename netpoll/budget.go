package netpoll

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Budget says how many sockets and connections the descriptor limit leaves.
type Budget struct {
	Descriptors int // what the process may open, RLIMIT_NOFILE's soft limit
	Sockets     int // of these for clients, in whatever state: Config.MaxSockets
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

// NewBudget divides descriptors. reserved is what everything but client sockets
// may need (Redis, the side server, log files). A sixteenth of what is left, 16
// to 512, is kept for sockets that are being refused, probed or closed. wanted
// bounds the connections further; 0 does not.
func NewBudget(descriptors, reserved, wanted int) Budget {
	sockets := max(descriptors-reserved, 2)
	connections := max(sockets-min(max(sockets/16, 16), 512), 1)
	if wanted > 0 {
		connections = min(connections, wanted)
	}
	return Budget{Descriptors: descriptors, Sockets: sockets, Connections: connections}
}
