// Package procfs reads what the kernel says a process costs: CPU time, memory,
// context switches, and what all sockets of the machine cost beside it. Reading
// is separate from parsing, which is functions on text.
package procfs
