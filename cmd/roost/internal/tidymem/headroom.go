package tidymem

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
)

const (
	// leastHeap is the live heap, in bytes, from which Go counts at least.
	leastHeap = 4 << 20
	// leastPercent bounds what collections cost where the heap is large: then
	// the headroom is a share of it.
	leastPercent = 50
)

// Headroom has Go collect whenever about so many bytes have been allocated since
// the last collection, instead of when the heap has doubled: the heap of a
// hundred thousand idle connections is a few megabytes, and to double it takes
// no more than a tenth of a second of busy traffic. It returns a function that
// ends this.
//
// It sets GOGC anew after each collection that changed what is alive.
func Headroom(bytes uint64) (stop func()) {
	p := &pacer{headroom: bytes}
	p.set(percentFor(bytes, leastHeap))
	p.watch()
	return func() { p.stopped.Store(true) }
}

// pacer is Headroom at work. One cleanup is registered at a time.
type pacer struct {
	headroom uint64 // static
	percent  int    // owned by Headroom, then by the one cleanup
	stopped  atomic.Bool
}

// sentinel is garbage from the start: the collector finds it in each cycle.
type sentinel struct{ _ *sentinel }

// watch has collected called after the next collection.
func (p *pacer) watch() { runtime.AddCleanup(&sentinel{}, (*pacer).collected, p) }

func (p *pacer) collected() {
	if p.stopped.Load() {
		return
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	if live[0].Value.Kind() == metrics.KindUint64 {
		p.set(percentFor(p.headroom, live[0].Value.Uint64()))
	}
	p.watch()
}

// set changes GOGC where that makes a difference: the world stops for it.
func (p *pacer) set(percent int) {
	if change := percent - p.percent; 8*max(change, -change) > p.percent {
		p.percent = percent
		debug.SetGCPercent(percent)
	}
}

// percentFor is the GOGC that leaves headroom bytes above a live heap.
func percentFor(headroom, live uint64) int {
	return max(int(100*headroom/max(live, leastHeap)), leastPercent)
}
