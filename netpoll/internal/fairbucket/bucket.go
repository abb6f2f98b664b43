// Package fairbucket has a token bucket whose tokens many sources draw from, so
// that none can empty it for the others.
//
// Each source may hold up to a share of what is free (dynamic thresholds, after
// Choudhury and Hahne, "Dynamic queue length thresholds for shared-memory packet
// switches", 1998): the more of them draw at once, the less each may hold, and
// something stays free for who has drawn little. A source that is alone has the
// whole rate; of n that draw without end each has an n-th of it. Tokens that were
// taken come back to all that hold some, in proportion to what they hold.
package fairbucket

import (
	"sync"
	"time"
)

// Bucket is the bucket. Make it with New; any goroutine.
type Bucket struct {
	rate, burst, share float64 // static

	mu   sync.Mutex
	at   time.Duration // guarded by mu: when it was last drained
	used float64       // guarded by mu: tokens that are taken, by all together

	// taken is what each source holds, in units of scale tokens: as tokens come
	// back only the scale changes. Guarded by mu, as the next.
	taken map[uint64]float64
	scale float64
	most  int // entries of taken from which on it is looked through
}

// New returns a full bucket: burst tokens, and rate of them a second come back.
// share is how much a source may hold, as a multiple of what is free then: alone
// it can have share/(1+share) of the burst at once.
func New(rate, burst int, share float64) *Bucket {
	return &Bucket{rate: float64(rate), burst: float64(burst), share: share, scale: 1, most: leastEntries}
}

const (
	// leastEntries is from how many sources on those are forgotten that hold next
	// to nothing.
	leastEntries = 1024
	// nothing is the part of a token that is next to nothing.
	nothing = 0.5
	// leastScale bounds how far the scale sinks before all counts are scaled.
	leastScale = 1e-9
)

// Take takes a token for a source, and reports whether there was one for it. now
// is the time on any clock that doesn't go back.
func (b *Bucket) Take(source uint64, now time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drain(now)
	free := b.burst - b.used
	if free < 1 || b.taken[source]*b.scale >= b.share*free {
		return false
	}
	if b.taken == nil {
		b.taken = make(map[uint64]float64)
	}
	b.taken[source] += 1 / b.scale
	b.used++
	if len(b.taken) > b.most {
		b.tidy()
	}
	return true
}

// drain gives back what has come back since the last time. The caller holds mu.
func (b *Bucket) drain(now time.Duration) {
	back := b.rate * max(now-b.at, 0).Seconds()
	b.at = max(b.at, now)
	if back >= b.used {
		b.used, b.scale = 0, 1
		if b.most > leastEntries || len(b.taken) > leastEntries/8 { // a map keeps the room that it once had
			b.taken, b.most = nil, leastEntries
		}
		clear(b.taken)
		return
	}
	b.scale *= (b.used - back) / b.used
	b.used -= back
	if b.scale < leastScale {
		b.tidy()
	}
}

// tidy forgets who holds next to nothing, and makes the scale 1 again. Of what is
// left each holds half a token at least, so that there are never more entries than
// twice the burst, and half as many again. The caller holds mu.
func (b *Bucket) tidy() {
	left := make(map[uint64]float64)
	for source, taken := range b.taken {
		if taken *= b.scale; taken >= nothing {
			left[source] = taken
		}
	}
	b.taken, b.scale = left, 1
	b.most = max(leastEntries, len(left)+len(left)/2)
}

// Sources returns how many sources are remembered.
func (b *Bucket) Sources() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.taken)
}
