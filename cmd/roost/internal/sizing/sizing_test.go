package sizing

import "testing"

func TestMemoryAndConnectionsAgree(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 9999, 100_000, 10_000_000} {
		need := Memory(n)
		if got := Connections(need); got != n {
			t.Errorf("%d bytes, which %d connections need, hold %d", need, n, got)
		}
		if got := Connections(need - 1); got != max(n-1, 0) {
			t.Errorf("a byte less holds %d, want %d", got, n-1)
		}
	}
	if got := Connections(0); got != 0 {
		t.Errorf("nothing holds %d", got)
	}
	if got := Memory(100_000) >> 20; got < 600 || got > 800 {
		t.Errorf("100,000 connections need %d MiB, far from what was measured", got)
	}
}
