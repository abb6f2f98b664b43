package subs

import (
	"sync"
	"sync/atomic"
	"time"
)

// WaitLimit is for how long after the start, and after a link is lost, handshakes wait for the next link. Most losses are
// over by then; and a client that may miss what comes within its first moments, and is told so, is better off than one
// that is not let in.
const WaitLimit = time.Second

// reach is how far the feed's own link is.
type reach uint32

const (
	reconnecting reach = iota // there is none, for less than WaitLimit: waiting is of use
	away                      // there is none, for longer
	connected                 // Redis has confirmed all that the link begins with
)

// LinkWait lets handshakes wait while there is no link. The feed's goroutine calls Down, Up and End; any may call the
// others.
type LinkWait struct {
	GaveUp func() // static: called once waiting is of no use any more; may be nil

	state atomic.Uint32 // a reach
	timer *time.Timer   // of the feed's goroutine: turns reconnecting into away

	mu      sync.Mutex
	waiters []Waiter // guarded by mu
	missed  bool     // guarded by mu: somebody was let in while there was no link
}

func (l *LinkWait) reach() reach { return reach(l.state.Load()) }

// Away reports whether there has been no link for WaitLimit.
func (l *LinkWait) Away() bool { return l.reach() == away }

// Acquire reports whether there is a link, or waiting for one is of no use. Otherwise w is told when either is true.
func (l *LinkWait) Acquire(w Waiter) bool {
	if l.reach() == connected {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch l.reach() { // again: whoever changes it takes the waiters afterwards
	case connected:
		return true
	case away:
		l.missed = true
		return true
	}
	l.waiters = append(l.waiters, w)
	return false
}

// Down notes that there is no link, or not yet.
func (l *LinkWait) Down() {
	if !l.state.CompareAndSwap(uint32(connected), uint32(reconnecting)) && l.timer != nil {
		return // there was none before
	}
	l.timer = time.AfterFunc(WaitLimit, l.giveUp)
}

// giveUp tells all waiters.
func (l *LinkWait) giveUp() {
	if !l.state.CompareAndSwap(uint32(reconnecting), uint32(away)) {
		return // there is a link
	}
	l.mu.Lock()
	waiters := l.waiters
	l.waiters = nil
	l.missed = l.missed || len(waiters) > 0
	l.mu.Unlock()
	Tell(waiters)
	if l.GaveUp != nil {
		l.GaveUp()
	}
}

// Up notes that there is a link. It reports whether anybody was let in without, and returns the waiters, for the caller to
// Tell.
func (l *LinkWait) Up() (missed bool, waiters []Waiter) {
	l.state.Store(uint32(connected))
	if l.timer != nil {
		l.timer.Stop()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	missed, waiters = l.missed, l.waiters
	l.missed, l.waiters = false, nil
	return missed, waiters
}

// End is called when there will be no link any more.
func (l *LinkWait) End() {
	l.Down()
	l.timer.Stop()
	l.giveUp()
}
