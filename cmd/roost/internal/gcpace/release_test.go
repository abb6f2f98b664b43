package gcpace

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

func TestDue(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	for _, tc := range []struct {
		name        string
		before, now reading
		want        bool
	}{
		{"garbage, and quiet", reading{allocated: 100 * mib}, reading{allocated: 100 * mib, objects: 12 * mib, live: 8 * mib}, true},
		{"freed, but kept from the system", reading{}, reading{objects: 8 * mib, live: 8 * mib, free: 5 * mib}, true},
		{"garbage, but busy", reading{allocated: 100 * mib}, reading{allocated: 110 * mib, objects: 20 * mib, live: 8 * mib}, false},
		{"quiet, and nothing to gain", reading{allocated: 100 * mib}, reading{allocated: 100*mib + 1000, objects: 8*mib + 1000, live: 8 * mib}, false},
		{"what the last time could not give back", reading{}, reading{objects: 8 * mib, live: 8 * mib, free: 5 * mib, left: 5*mib - worthwhile + 1}, false},
		{"less in use than was alive", reading{}, reading{objects: 7 * mib, live: 8 * mib}, false},
		{"a runtime that tells nothing", reading{}, reading{}, false},
	} {
		if got := due(tc.before, tc.now); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

// Real garbage is gone after a quiet interval. Not parallel: there is one heap.
func TestReleaseGivesBack(t *testing.T) {
	runtime.GC()
	var held []byte
	for range 40 {
		held = make([]byte, 1<<20)
	}
	runtime.KeepAlive(held)
	before := read()
	if garbage := before.objects - before.live; before.objects < before.live || garbage < worthwhile {
		t.Skipf("the runtime has collected by itself: %+v", before)
	}
	after := releaseIfIdle(before)
	if after.idle() >= before.idle() || due(after, after) {
		t.Errorf("still something to gain: %+v, before %+v", after, before)
	}
}

func TestReleaseEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { Release(ctx); close(done) }()
		<-time.After(3 * interval) // of the bubble's time
		cancel()
		<-done
	})
}
