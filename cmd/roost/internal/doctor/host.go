package doctor

import (
	"io/fs"

	"roost/cmd/roost/internal/cgroup"
)

// Host is what limits connections on a machine, as its files say it.
type Host struct {
	Processors int // that the process may use

	openFiles     reading // soft, hard
	nrOpen        reading
	fileMax       reading
	fileNr        reading // in use, unused, max
	epollWatches  reading
	somaxconn     reading
	synBacklog    reading
	synCookies    reading
	portRange     reading // first, last
	reservedPorts reading // pairs of first and last
	conntrack     reading
	tcpMem        reading // pages: low, pressure, high
	tcpRmem       reading // bytes: min, default, max
	tcpWmem       reading
	available     reading // bytes of memory
	group         reading // bytes that the control group may have; not there: no limit
}

// ReadHost reads the files of host, whose root is the machine's /, as the process
// that runs sees them. The Report says which files can't be read.
func ReadHost(host fs.FS, processors int) Host {
	sys := func(name string) reading { return readNumbers(host, "proc/sys/"+name) }
	return Host{
		Processors: processors,
		openFiles:  readOpenFiles(host),
		nrOpen:     sys("fs/nr_open"), fileMax: sys("fs/file-max"), fileNr: sys("fs/file-nr"),
		epollWatches: sys("fs/epoll/max_user_watches"),
		somaxconn:    sys("net/core/somaxconn"),
		synBacklog:   sys("net/ipv4/tcp_max_syn_backlog"), synCookies: sys("net/ipv4/tcp_syncookies"),
		portRange: sys("net/ipv4/ip_local_port_range"), reservedPorts: readPorts(host),
		conntrack: sys("net/netfilter/nf_conntrack_max"),
		tcpMem:    sys("net/ipv4/tcp_mem"), tcpRmem: sys("net/ipv4/tcp_rmem"), tcpWmem: sys("net/ipv4/tcp_wmem"),
		available: readAvailable(host),
		group:     readGroup(host),
	}
}

// readGroup reads the control group's memory limit.
func readGroup(host fs.FS) reading {
	limit, file, err := cgroup.Memory(host)
	switch {
	case limit > 0:
		return reading{file: file, numbers: []uint64{limit}}
	case err != nil:
		return reading{file: "memory.max", err: err}
	}
	return reading{file: "memory.max", err: fs.ErrNotExist}
}
