package doctor

import (
	"fmt"

	"roost/cmd/roost/internal/sizing"
)

// available judges what the machine's memory holds.
func available(h Host, ask Ask) Finding {
	if h.available.err != nil {
		return unknown(nameMemory, h.available)
	}
	n := h.available.at(0)
	return wall(nameMemory, h.available, mebibytes(n), sizing.Connections(n), ask,
		Fix{Machine, fmt.Sprintf("memory: %d MiB available", needed(ask))}).
		noting(perConnection())
}

// group judges what the control group's limit holds: it is charged for the
// sockets too.
func group(h Host, ask Ask) Finding {
	const name = "control group's memory"
	if h.group.missing() {
		return Finding{Name: name, Source: h.group.source(), Found: "no limit", State: OK}
	}
	if h.group.err != nil {
		return unknown(name, h.group)
	}
	n := h.group.at(0)
	return wall(name, h.group, mebibytes(n), sizing.Connections(n), ask,
		Fix{Systemd, fmt.Sprintf("MemoryMax=%dM", needed(ask))},
		Fix{Docker, fmt.Sprintf("--memory %dm", needed(ask))}).
		noting(perConnection())
}

// needed is memory for the connections, in MiB, with an eighth to spare.
func needed(ask Ask) uint64 {
	need := sizing.Memory(ask.Connections)
	return (need+need/8)>>20 + 1
}

func perConnection() string {
	return fmt.Sprintf("%s, and %.1f KiB a connection, most of it the kernel's",
		mebibytes(sizing.Base), float64(sizing.PerConnection+sizing.KernelPerConnection)/1024)
}

// slowClients judges whether there is memory for what may wait for clients that
// don't read.
func slowClients(h Host, ask Ask) Finding {
	queues := uint64(ask.Memory.QueuedBytes)
	if ask.Memory.QueuedBytes == 0 {
		queues = uint64(ask.Connections) * uint64(ask.Memory.QueueBytes) // each client's own bound
	}
	f := Finding{Name: "slow clients", Source: "WS_MAX_QUEUED_BYTES", Found: mebibytes(queues), State: OK}
	have, ok := leastMemory(h)
	if !ok {
		return f.noting("memory is unknown")
	}
	need := sizing.Memory(ask.Connections)
	if need+queues <= have {
		return f.noting("may wait for them in all")
	}
	left := uint64(16 << 20)
	if have > need {
		left = max(left, (have-need)/2)
	}
	return f.warn("may wait for them in all: more memory than the connections leave",
		Fix{Environment, fmt.Sprintf("WS_MAX_QUEUED_BYTES=%d", left)})
}

// pendingHandshakes judges whether there is memory for all three things that WS_MAX_PENDING_BYTES bounds, each by itself: handshakes of clients that are
// not admitted yet, unfinished records and messages, and new tokens. A collection may come when there is as much garbage.
func pendingHandshakes(h Host, ask Ask) Finding {
	kept := worstCase(h, ask).From("WS_MAX_PENDING_BYTES")
	return passing(h, ask, Finding{Name: "pending handshakes", Source: "WS_MAX_PENDING_BYTES"}, kept, 3,
		"may be kept for them, unfinished records and new tokens, and as much again be garbage")
}

// broadcasts judges whether there is memory for what may wait for everyone and for groups.
func broadcasts(h Host, ask Ask) Finding {
	return passing(h, ask, Finding{Name: "broadcasts", Source: "WS_MAX_BROADCAST_BYTES"}, uint64(ask.Memory.BroadcastBytes), 1,
		"may wait for everyone and for groups, and as much again be garbage")
}

// passing judges whether there is memory for what the variable f.Source bounds, in so many things, and a collection may find twice.
func passing(h Host, ask Ask, f Finding, kept, things uint64, what string) Finding {
	f.Found, f.State = mebibytes(kept), OK
	have, ok := leastMemory(h)
	if !ok {
		return f.noting("memory is unknown")
	}
	need := sizing.Memory(ask.Connections)
	if need+2*kept <= have {
		return f.noting(what)
	}
	left := uint64(1 << 20)
	if have > need {
		left = max(left, (have-need)/4/things)
	}
	return f.warn(what+": more memory than the connections leave", Fix{Environment, fmt.Sprintf("%s=%d", f.Source, left)})
}

// leastMemory is the smaller of the machine's and the group's.
func leastMemory(h Host) (bytes uint64, ok bool) {
	for _, r := range []reading{h.available, h.group} {
		if r.err == nil && (!ok || r.at(0) < bytes) {
			bytes, ok = r.at(0), true
		}
	}
	return bytes, ok
}
