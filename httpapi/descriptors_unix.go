//go:build unix

package httpapi

import "syscall"

// maxDescriptors is how many the process may have, 0 if the kernel does not say.
func maxDescriptors() int64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return int64(min(limit.Cur, 1<<62))
}
