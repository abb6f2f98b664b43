package tokenkeys

import (
	"hash/maphash"
	"maps"
	"sync"
	"time"
)

const (
	// maxUnknown bounds how many names of unknown keys are remembered: strangers make them up. A client whose key is
	// not remembered is told to come again, never that there is no such key.
	maxUnknown = 4096
	// soon is how long a client is told to wait for a fetch that is under way, or about to be.
	soon = time.Second
)

// unknowns are the keys that tokens named and that are not among ours. A token is refused for its key only when a fetch
// that began after the key was asked for has not brought it: otherwise one made-up name would use up the fetch that
// another, which the issuer has just begun to use, needs.
//
// Any goroutine.
type unknowns struct {
	every time.Duration // static: from one fetch because of an unknown key to the next, at least
	seed  maphash.Seed  // static

	mu      sync.Mutex
	asked   map[uint64]struct{} // guarded by mu, as all below: by the hash of the name, since the last fetch began
	looked  map[uint64]struct{} // asked before the fetch that is under way began; nil: none is
	absent  map[uint64]struct{} // asked before a fetch began that was successful and did not bring them
	wanted  time.Time           // of the next fetch because of unknown keys; zero: none is wanted
	allowed time.Time           // of the next such fetch, at the earliest
}

func newUnknowns(every time.Duration) *unknowns {
	return &unknowns{every: every, seed: maphash.MakeSeed(), asked: make(map[uint64]struct{}), absent: make(map[uint64]struct{})}
}

// ask asks for a key. pending says that it may still come, and wait for how long; sooner that the next fetch is wanted
// sooner than before.
func (u *unknowns) ask(name string, now time.Time) (wait time.Duration, pending, sooner bool) {
	key := maphash.String(u.seed, name)
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, looked := u.looked[key]; looked {
		return soon, true, false
	}
	if _, absent := u.absent[key]; absent && now.Before(u.allowed) {
		return 0, false, false
	}
	if len(u.asked) < maxUnknown {
		u.asked[key] = struct{}{}
	}
	at := u.allowed
	if at.Before(now) {
		at = now
	}
	if u.wanted.IsZero() || at.Before(u.wanted) {
		u.wanted, sooner = at, true
	}
	return max(soon, u.wanted.Sub(now)), true, sooner
}

// begin is called when a fetch begins.
func (u *unknowns) begin(now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.wanted.IsZero() && !u.wanted.After(now) { // or it was due anyway
		u.allowed = now.Add(u.every)
	}
	u.looked, u.asked, u.wanted = u.asked, make(map[uint64]struct{}), time.Time{}
}

// end is called when a fetch ends.
func (u *unknowns) end(ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	into := u.asked
	if ok {
		into = u.absent
	}
	if len(into)+len(u.looked) > maxUnknown {
		clear(into)
	}
	maps.Copy(into, u.looked)
	u.looked = nil
}

// due is when a fetch is wanted; zero: it is not.
func (u *unknowns) due() time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.wanted
}
