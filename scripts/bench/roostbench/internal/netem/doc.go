// Package netem makes a network path in user space: delay, bandwidth, a router's queue and loss, on kernels that have no
// netem qdisc too. Packets leave the kernel through one TUN device and come back through another, so that TCP sees the
// round trip, sizes its window by it and retransmits what is lost.
//
// Both ends of a path are on this machine, which would take the short cut through its loopback device. So the far end is
// a network namespace of its own. Command runs a program in a fresh namespace first, so that nothing is added to the
// machine's own devices; Open makes the far end of the path inside of it.
//
// It needs /dev/net/tun, and root or user namespaces.
package netem
