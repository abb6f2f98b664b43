package netpoll

import (
	"testing"
	"unsafe"
)

// There is one conn for each idle connection. Growing it past a size class of
// the allocator costs every one of them.
func TestConnSize(t *testing.T) {
	t.Parallel()
	const want = 96
	if got := unsafe.Sizeof(conn{}); got > want {
		t.Errorf("a conn has %d bytes, want %d at most", got, want)
	}
}
