// Package sizing has what a connection costs, in round figures above those of
// docs/benchmarks.md: what judges a host, and what divides a container's memory,
// reckon with the same.
package sizing

const (
	// Base is Roost's memory, in bytes, before anybody connects: 18 MiB of RSS
	// (Memory, idle connections), 16 MiB of garbage when it is
	// busy, and as much for write queues, buffers and stacks.
	Base = 64 << 20

	// PerConnection is Roost's memory of a connection, in bytes. Idle it is 197
	// with 18,000 in one process (RssAnon a connection), and 350 over TLS 1.3 with
	// 6,500. A collection may come when there is as much garbage.
	PerConnection = 512

	// PerOldTLS is what a connection of TLS 1.2 has in addition, in bytes: 8,700 were
	// measured between 1,500 and 6,500, and 7,700 with another client.
	PerOldTLS = 8 << 10

	// KernelPerConnection is the kernel's memory of an idle connection, in bytes:
	// socket, file, inode and epoll entry. 5,129 were measured (kernel memory a
	// socket). A control group is charged for it.
	KernelPerConnection = 6 << 10

	// PerPending is what one pending handshake may have Roost keep, in bytes: a head
	// of 16 KiB in pieces, or a token that is checked and 16 KiB behind the request.
	PerPending = 40 << 10

	// IdlePercent is the CPU of an idle connection with pings every 30 s, in
	// percent of a core: 1.30 for 18,000 (Targets), and half as much again.
	IdlePercent = 1.5 * 1.30 / 18000

	// HandshakeMicroseconds is the CPU of a handshake: 37.1 were measured, and 60
	// where the clients shared the processors.
	HandshakeMicroseconds = 60
)

// Memory is what so many idle connections need, in bytes, the kernel's included.
func Memory(connections int) uint64 {
	return Base + uint64(max(connections, 0))*(PerConnection+KernelPerConnection)
}

// Connections is how many idle connections so many bytes hold.
func Connections(bytes uint64) int {
	if bytes <= Base {
		return 0
	}
	return int((bytes - Base) / (PerConnection + KernelPerConnection))
}
