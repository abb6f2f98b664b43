package subs

import (
	"sync"

	"roost/redisfeed/internal/boottime"
)

// losses is the users whose connections may have missed something, and since when. Any goroutine; its lock is the
// innermost.
type losses struct {
	mu      sync.Mutex
	users   int              // guarded by mu
	since   boottime.Instant // guarded by mu: of the first of them; none without users
	counted bool             // guarded by mu: as a gap
}

// add adds a user who may have missed what was published since then.
func (l *losses) add(since boottime.Instant) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.users++
	l.since = boottime.Earlier(l.since, since)
}

// take takes a user out, and returns since when something may be missing: rather too early than too late, since it is
// the same for all.
func (l *losses) take() (since boottime.Instant) {
	l.mu.Lock()
	defer l.mu.Unlock()
	since = l.since
	if l.users--; l.users == 0 {
		l.since, l.counted = 0, false
	}
	return since
}

// widen makes since no later than that, for the users who are in already.
func (l *losses) widen(since boottime.Instant) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.users > 0 {
		l.since = boottime.Earlier(l.since, since)
	}
}

// count is how many users may have missed something.
func (l *losses) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.users
}

// first reports whether this is the first time that it is called since the first of the users came in.
func (l *losses) first() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.counted
	l.counted = l.users > 0
	return !was
}
