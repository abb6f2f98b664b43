package netpoll

import (
	"testing"
	"time"
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

func TestInstant(t *testing.T) {
	t.Parallel()
	const round = time.Duration(1<<32) * time.Millisecond
	for _, now := range []time.Duration{time.Second, time.Hour, round - 1, round, round + time.Second, 20*round + time.Hour} {
		for _, ago := range []time.Duration{0, time.Millisecond, time.Minute, longestWait} {
			if got := instantOf(now - ago).ago(now); got < ago || got > ago+time.Millisecond {
				t.Errorf("at %s, %s ago: %s", now, ago, got)
			}
		}
		for _, later := range []time.Duration{time.Millisecond, time.Minute, clockSkew} {
			if got := instantOf(now + later).ago(now); got != 0 {
				t.Errorf("at %s, %s later: %s ago, want 0", now, later, got)
			}
		}
	}
}
