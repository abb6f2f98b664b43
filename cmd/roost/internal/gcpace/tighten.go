package gcpace

import (
	"context"
	"os"
	"runtime/debug"
	"time"
)

const (
	// loose is Go's own GOGC: the heap may double until the next collection.
	loose = 100
	// tight is GOGC while little is allocated: a seventh of what is alive may become garbage.
	tight = 15
	// sparing is GOGC while state is taken over.
	sparing = 30
	// tightRate bounds what is allocated in an interval, in multiples of what is alive, for the process to count as calm.
	// So there are at most 20 collections in an interval of ten seconds, at 0.3 ms a MiB: 2.3% of a processor with 38 MiB.
	tightRate = 3
)

// Tighten keeps less garbage while little goes on, until ctx ends. It is for a process with idle TLS connections: each ping
// makes two cipher objects, 1.3 KB each, which without it double what such a connection takes, and keep Release from
// finding the process idle. So it gives memory back too, once when the process becomes calm. Where GOGC is set in the environment it does nothing.
func Tighten(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	defer debug.SetGCPercent(loose)
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	before, percent := read(), loose
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := read()
		if next := percentFor(before, now); next != percent {
			debug.SetGCPercent(next)
			percent = next
			if next == tight {
				debug.FreeOSMemory() // a busy process leaves garbage, and Release does not find it quiet
			}
		}
		before = now
	}
}

// Sparing keeps less garbage from now on, until restore is called. It is for a process that takes over another one's state: what it
// reads becomes garbage at once, beside a process that is still there. Where GOGC is set in the environment it does nothing.
func Sparing() (restore func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	before := debug.SetGCPercent(sparing)
	return func() { debug.SetGCPercent(before) }
}

// percentFor is GOGC for what was allocated in an interval.
func percentFor(before, now reading) int {
	if now.allocated-before.allocated <= max(tightRate*now.live, quiet) {
		return tight
	}
	return loose
}
