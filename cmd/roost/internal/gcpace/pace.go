package gcpace

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"time"
)

const (
	// leastHeap is the live heap, in bytes, from which Go counts at least.
	leastHeap = 4 << 20
	// usualPercent is Go's own GOGC.
	usualPercent = 100
	// leastPercent bounds what collections cost where the heap is large: then
	// the headroom is a share of it.
	leastPercent = 50

	// Collections that follow each other within tooSoon, tooMany times in a row,
	// begin a busy time, and one that comes after longEnough ends it.
	tooSoon    = 250 * time.Millisecond
	tooMany    = 3
	longEnough = 2 * time.Second
)

// Headroom has Go collect, in busy times, whenever about so many bytes have been
// allocated since the last collection, instead of when the heap has doubled: the
// heap of a hundred thousand idle connections is a few megabytes, and busy
// traffic doubles it several times a second. At other times, storms of connects
// included, the heap stays as small as Go keeps it. It returns a function that
// ends this.
//
// It sets GOGC anew after each collection that changed what is right.
func Headroom(bytes uint64) (stop func()) {
	p := &pacer{headroom: bytes, percent: usualPercent, last: time.Now()}
	debug.SetGCPercent(usualPercent)
	p.watch()
	return func() { p.stopped.Store(true) }
}

// pacer is Headroom at work. One cleanup is registered at a time, and owns what
// is not static.
type pacer struct {
	headroom uint64 // static
	percent  int
	last     time.Time // when a collection was noticed
	soon     int       // how many came too soon, in a row
	busy     bool
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
	now := time.Now()
	p.note(now.Sub(p.last))
	p.last = now
	p.set(p.percentFor(liveHeap()))
	p.watch()
}

// note takes the time between two collections.
func (p *pacer) note(interval time.Duration) {
	if interval >= tooSoon {
		p.soon = 0
		p.busy = p.busy && interval < longEnough
		return
	}
	p.soon++
	p.busy = p.busy || p.soon >= tooMany
}

// percentFor is the GOGC that is right with so large a live heap, in bytes.
func (p *pacer) percentFor(live uint64) int {
	if !p.busy {
		return usualPercent
	}
	return max(int(100*p.headroom/max(live, leastHeap)), leastPercent)
}

// set changes GOGC where that makes a difference: the world stops for it.
func (p *pacer) set(percent int) {
	if change := percent - p.percent; 8*max(change, -change) > p.percent {
		p.percent = percent
		debug.SetGCPercent(percent)
	}
}

// liveHeap is what the last collection has left, in bytes.
func liveHeap() uint64 {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	if live[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return live[0].Value.Uint64()
}
