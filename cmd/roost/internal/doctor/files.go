package doctor

import (
	"fmt"
	"math/bits"

	"roost/netpoll"
)

// connectionsOf is how many connections so many descriptors hold: Roost's own rule.
func connectionsOf(descriptors uint64, ask Ask) int {
	return netpoll.NewBudget(clamp(descriptors), ask.Reserved, 0).Connections
}

// descriptorsFor is a round number of descriptors for the connections, with room
// for handshakes and endings under way (netpoll.NewBudget).
func descriptorsFor(ask Ask) uint64 {
	return roundUp(uint64(ask.Reserved + ask.Connections + max(512, ask.Connections/4)))
}

// limitFor is descriptorsFor where the kernel allows it, otherwise the kernel's limit where that is enough: a limit above
// fs.nr_open is an error to setrlimit, and so a container that does not start.
func limitFor(h Host, ask Ask) uint64 {
	want, most := descriptorsFor(ask), h.nrOpen.at(0)
	if h.nrOpen.err == nil && want > most && connectionsOf(most, ask) >= ask.Connections {
		return most
	}
	return want
}

// openFiles judges the hard limit. The soft one does not count: Go raises it to
// the hard one when a program starts.
func openFiles(h Host, ask Ask) Finding {
	if h.openFiles.err != nil {
		return unknown(nameOpenFiles, h.openFiles)
	}
	want := limitFor(h, ask)
	hard := h.openFiles.at(1)
	f := wall(nameOpenFiles, h.openFiles, "soft "+thousands(h.openFiles.at(0))+", hard "+thousands(hard), connectionsOf(hard, ask), ask,
		Fix{Systemd, fmt.Sprintf("LimitNOFILE=%d", want)},
		Fix{Docker, fmt.Sprintf("--ulimit nofile=%d", want)})
	return f.noting("the hard limit counts (ulimit -Hn): Go raises the soft one to it")
}

// nrOpen judges up to where the hard limit can be raised.
func nrOpen(h Host, ask Ask) Finding {
	const name = "one process's files"
	if h.nrOpen.err != nil {
		return unknown(name, h.nrOpen)
	}
	n := h.nrOpen.at(0)
	return wall(name, h.nrOpen, thousands(n), connectionsOf(n, ask), ask, sysctl(h.nrOpen, descriptorsFor(ask))).
		noting("no LimitNOFILE can be higher")
}

// fileMax judges the files that all processes may have together. Roost can't have those that are open now.
func fileMax(h Host, ask Ask) Finding {
	const name = "all processes' files"
	if h.fileMax.err != nil {
		return unknown(name, h.fileMax)
	}
	most, used := h.fileMax.at(0), min(h.fileNr.at(0), h.fileMax.at(0))
	return wall(name, h.fileMax, thousands(most), connectionsOf(most-used, ask), ask,
		sysctl(h.fileMax, roundUp(used+descriptorsFor(ask)))).
		noting(thousands(used) + " are open")
}

// epollWatches judges how many descriptors one user may watch with epoll.
func epollWatches(h Host, ask Ask) Finding {
	const name = "epoll watches"
	if h.epollWatches.err != nil {
		return unknown(name, h.epollWatches)
	}
	n := h.epollWatches.at(0)
	return wall(name, h.epollWatches, thousands(n), clamp(n)-ask.Reserved, ask, sysctl(h.epollWatches, descriptorsFor(ask))).
		noting("of one user; each connection is one")
}

// sysctl is the line that sets what was read.
func sysctl(r reading, values ...uint64) Fix {
	line := r.source() + " ="
	for _, v := range values {
		line += fmt.Sprintf(" %d", v)
	}
	return Fix{Sysctl, line}
}

// roundUp is the next power of two.
func roundUp(n uint64) uint64 { return 1 << bits.Len64(max(n, 1)-1) }

// clamp makes an int of a number that may stand for infinity.
func clamp(n uint64) int { return int(min(n, 1<<40)) }
