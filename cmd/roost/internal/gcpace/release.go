package gcpace

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// interval is how often Release looks: one wake-up, a few microseconds.
	interval = 10 * time.Second
	// worthwhile is the garbage, in bytes, for which a collection (about 0.3 ms a
	// MiB of live heap) is spent.
	worthwhile = 512 << 10
	// quiet is how many bytes may be allocated in an interval for the process to
	// count as idle: some two thousand notifications.
	quiet = 2 << 20
)

// reading is what the runtime says about the heap, in bytes.
type reading struct {
	allocated uint64 // ever
	objects   uint64 // in use: alive, or garbage that is not collected yet
	live      uint64 // of these alive when the last collection ended
	free      uint64 // kept from the system without being in use
	left      uint64 // of garbage and free, what the last release could not give back
}

// Release gives memory back to the system once a storm of connects, or a burst of notifications, is over, until ctx ends.
//
// Go collects when the heap has doubled, and returns slowly what it freed: a server that took 100,000 connections in a minute
// and then idles would keep that minute's garbage for as long as nothing happens. Release looks every ten seconds, and
// collects once when the process is idle and there is something to give back. Under load it does nothing.
func Release(ctx context.Context) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	before := read()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		before = releaseIfIdle(before)
	}
}

// releaseIfIdle collects if it is due, and returns the reading to compare the next with.
func releaseIfIdle(before reading) reading {
	now := read()
	now.left = before.left
	if due(before, now) {
		debug.FreeOSMemory()
		now = read()
		now.left = now.idle()
	}
	return now
}

// due decides: nothing going on, and something to gain.
func due(before, now reading) bool {
	return now.allocated-before.allocated <= quiet && now.idle() >= now.left+worthwhile
}

// idle is the memory that nothing needs.
func (r reading) idle() uint64 {
	if r.objects < r.live {
		return r.free
	}
	return r.objects - r.live + r.free
}

// read costs a few microseconds and stops nothing.
func read() reading {
	samples := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(samples)
	value := func(i int) uint64 {
		if samples[i].Value.Kind() != metrics.KindUint64 {
			return 0 // a runtime without this figure: nothing is gained by it
		}
		return samples[i].Value.Uint64()
	}
	return reading{allocated: value(0), objects: value(1), live: value(2), free: value(3)}
}
