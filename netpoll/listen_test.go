package netpoll

import (
	"testing"
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

// memInfo returns one number of SO_MEMINFO, by its place (SK_MEMINFO_… of linux/sock_diag.h).
func memInfo(t testing.TB, fd, place int) int {
	t.Helper()
	var info [9]uint32
	if err := getsockopt(fd, unix.SOL_SOCKET, unix.SO_MEMINFO, info[:]); err != nil {
		t.Error(err)
	}
	return int(info[place])
}
