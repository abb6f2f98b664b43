package gcpace

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
		busy bool
		live uint64
		want int
	}{
		{false, 4 * mib, 100},
		{false, 64 * mib, 100},
		{true, 0, 400},
		{true, 4 * mib, 400},
		{true, 8 * mib, 200},
		{true, 16 * mib, 100},
		{true, 32 * mib, 50},
		{true, 1 << 40, 50},
	}
	for _, tt := range tests {
		p := &pacer{headroom: 16 * mib, busy: tt.busy}
		if got := p.percentFor(tt.live); got != tt.want {
			t.Errorf("busy %v, %d alive: %d%%, want %d%%", tt.busy, tt.live, got, tt.want)
		}
	}
}

func TestBusyTimes(t *testing.T) {
	t.Parallel()
	const soon, later, long = 50 * time.Millisecond, time.Second, 10 * time.Second
	tests := map[string]struct {
		intervals []time.Duration
		want      bool
	}{
		"one after the other":         {[]time.Duration{soon, soon, soon}, true},
		"a few":                       {[]time.Duration{soon, soon}, false},
		"not in a row":                {[]time.Duration{soon, soon, later, soon, soon}, false},
		"the headroom spreads them":   {[]time.Duration{soon, soon, soon, later, later, later}, true},
		"the busy time is over":       {[]time.Duration{soon, soon, soon, later, long}, false},
		"and comes again":             {[]time.Duration{soon, soon, soon, long, soon, soon, soon}, true},
		"a storm of connects is slow": {[]time.Duration{later, later, later, later}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &pacer{}
			for _, interval := range tt.intervals {
				p.note(interval)
			}
			if p.busy != tt.want {
				t.Errorf("busy is %v, want %v", p.busy, tt.want)
			}
		})
	}
}

// It changes the process's setting: not parallel.
func TestHeadroomComesWithBusyTimes(t *testing.T) {
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	stop := Headroom(16 << 20)
	defer stop()
	if got := currentPercent(); got != usualPercent {
		t.Errorf("GOGC begins at %d, want %d", got, usualPercent)
	}
	live := make([]byte, 64<<20)
	awaitPercent(t, 50) // collecting again and again
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
