package netpoll

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// getsockopt reads an option that is an array of numbers.
func getsockopt(fd, level, name int, into []uint32) error {
	size := uint32(4 * len(into))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name),
		uintptr(unsafe.Pointer(&into[0])), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}
