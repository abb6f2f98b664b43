// Package sockmem asks the kernel how much memory the sockets of a TCP port take, through sock_diag(7), as ss -m does.
package sockmem
