package gcpace

import (
	"context"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"
)

func TestPercentFor(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	for _, tc := range []struct {
		name      string
		allocated uint64
		live      uint64
		want      int
	}{
		{"nothing goes on", 0, 6 * mib, tight},
		{"pings of idle connections", 14 * mib, 6 * mib, tight},
		{"notifications", 100 * mib, 6 * mib, loose},
		{"a small heap", 2 * mib, mib / 4, tight},
	} {
		if got := percentFor(reading{allocated: 50 * mib}, reading{allocated: 50*mib + tc.allocated, live: tc.live}); got != tc.want {
			t.Errorf("%s: %d, want %d", tc.name, got, tc.want)
		}
	}
}

// Not parallel: there is one heap.
func TestTighten(t *testing.T) {
	t.Setenv("GOGC", "")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { Tighten(ctx); close(done) }()
		<-time.After(interval + time.Second) // of the bubble's time
		if got := debug.SetGCPercent(tight); got != tight {
			t.Errorf("GOGC is %d while nothing goes on, want %d", got, tight)
		}
		cancel()
		<-done
		if got := debug.SetGCPercent(loose); got != loose {
			t.Errorf("GOGC is %d in the end, want %d", got, loose)
		}
	})
	t.Setenv("GOGC", "50")
	Tighten(t.Context()) // returns at once
}

// Not parallel: there is one heap.
func TestSparing(t *testing.T) {
	t.Setenv("GOGC", "")
	before := debug.SetGCPercent(loose)
	defer debug.SetGCPercent(before)
	restore := Sparing()
	if got := debug.SetGCPercent(sparing); got != sparing {
		t.Errorf("GOGC is %d, want %d", got, sparing)
	}
	restore()
	if got := debug.SetGCPercent(loose); got != loose {
		t.Errorf("GOGC is %d behind it, want %d", got, loose)
	}
	t.Setenv("GOGC", "80")
	Sparing()
	if got := debug.SetGCPercent(loose); got != loose {
		t.Errorf("GOGC is %d although the environment sets it, want %d", got, loose)
	}
}
