package faults

import (
	"slices"
	"sync"
	"time"
)

// publication is one notification for a user. Its number is its place in the user's list.
type publication struct {
	begun, done time.Time // between these Redis took it, if it did
	took        bool      // it said so
}

// ledger is what was published. Any goroutine.
type ledger struct {
	mu  sync.Mutex
	all map[string][]publication // guarded by mu: by user
}

func newLedger() *ledger { return &ledger{all: make(map[string][]publication)} }

// next begins a notification, and returns its number.
func (l *ledger) next(user string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all[user] = append(l.all[user], publication{begun: time.Now()})
	return len(l.all[user]) - 1
}

// done ends it.
func (l *ledger) done(user string, number int, took bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := &l.all[user][number]
	p.done, p.took = time.Now(), took
}

// count is how many there are of each user.
func (l *ledger) count() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := make(map[string]int, len(l.all))
	for user, list := range l.all {
		n[user] = len(list)
	}
	return n
}

// since are a user's from a number on.
func (l *ledger) since(user string, number int) []publication {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.all[user][number:])
}

// tally is what became of the deliveries that were due to one connection, or to several.
type tally struct {
	due       int // of notifications that Redis took, or that came all the same
	delivered int
	told      int // not delivered, and published at or after a time that was told later
	untold    int // not delivered, and not in any such gap

	lastLost time.Time // when the publishing of the latest that was not delivered began
}

func (a *tally) add(b tally) {
	a.due += b.due
	a.delivered += b.delivered
	a.told += b.told
	a.untold += b.untold
	if b.lastLost.After(a.lastLost) {
		a.lastLost = b.lastLost
	}
}

// judge looks at what one connection got of the notifications from the number first on.
func judge(published []publication, first int, got map[int]bool, gaps []told) (t tally) {
	for i, p := range published {
		switch came := got[first+i]; {
		case came:
			t.due++
			t.delivered++
			continue
		case !p.took:
			continue // Redis may never have had it
		}
		t.due++
		if p.begun.After(t.lastLost) {
			t.lastLost = p.begun
		}
		if inAny(gaps, p) {
			t.told++
		} else {
			t.untold++
		}
	}
	return t
}

// inAny reports whether a notification was published at or after a time that was told after it.
func inAny(gaps []told, p publication) bool {
	return slices.ContainsFunc(gaps, func(g told) bool { return g.Covers(p.begun, p.done) })
}
