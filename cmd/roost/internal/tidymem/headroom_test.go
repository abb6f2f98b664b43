package tidymem

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

func TestPercentFor(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	tests := []struct {
		headroom, live uint64
		want           int
	}{
		{16 * mib, 0, 400},
		{16 * mib, 4 * mib, 400},
		{16 * mib, 8 * mib, 200},
		{16 * mib, 16 * mib, 100},
		{16 * mib, 32 * mib, 50},
		{16 * mib, 1 << 40, 50},
	}
	for _, tt := range tests {
		if got := percentFor(tt.headroom, tt.live); got != tt.want {
			t.Errorf("%d above %d: %d%%, want %d%%", tt.headroom, tt.live, got, tt.want)
		}
	}
}

// It changes the process's setting: not parallel.
func TestHeadroomFollowsTheLiveHeap(t *testing.T) {
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	stop := Headroom(16 << 20)
	defer stop()
	if got := currentPercent(); got != 400 {
		t.Errorf("GOGC begins at %d, want 400", got)
	}
	live := make([]byte, 64<<20)
	awaitPercent(t, 50)
	runtime.KeepAlive(live)
	awaitPercent(t, 400)
}

// awaitPercent collects until GOGC is so.
func awaitPercent(t *testing.T, want int) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for currentPercent() != want {
		if time.Now().After(deadline) {
			t.Fatalf("GOGC stays at %d, want %d", currentPercent(), want)
		}
		runtime.GC()
	}
}

func currentPercent() int {
	percent := debug.SetGCPercent(100)
	debug.SetGCPercent(percent)
	return percent
}
