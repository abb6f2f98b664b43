package redisfeed

import (
	"sync"
	"sync/atomic"
	"time"
)

// waitLimit is for how long after the start, and after a link is lost, those who come wait for the next link. Most
// losses are over by then; and a client that may miss what comes within its first moments, and is told so, is better off
// than one that is not let in.
const waitLimit = time.Second

// reach is how far the feed's own link is.
type reach uint32

const (
	mending    reach = iota // there is none, for less than waitLimit: it is of use to wait
	away                    // there is none, for longer
	subscribed              // Redis has confirmed all that the link begins with
)

// linkWait lets those who come wait while there is no link. Run's goroutine says how that is; any goroutine asks.
type linkWait struct {
	state atomic.Uint32 // a reach
	given func()        // static: called once it is of no use to wait any more; may be nil

	timer *time.Timer // Run's goroutine's: makes mending away

	mu      sync.Mutex
	waiters []Waiter // guarded by mu
	unheard bool     // guarded by mu: somebody was let in while there was no link
}

func (l *linkWait) reach() reach { return reach(l.state.Load()) }

// join reports whether there is a link, or waiting for one is of no use. If neither, w is told when either has become
// true.
func (l *linkWait) join(w Waiter) bool {
	if l.reach() == subscribed {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch l.reach() { // again: whoever changes it takes the waiters afterwards
	case subscribed:
		return true
	case away:
		l.unheard = true
		return true
	}
	l.waiters = append(l.waiters, w)
	return false
}

// down notes that there is no link, or not yet.
func (l *linkWait) down() {
	if !l.state.CompareAndSwap(uint32(subscribed), uint32(mending)) && l.timer != nil {
		return // there was none before
	}
	l.timer = time.AfterFunc(waitLimit, l.giveUp)
}

// giveUp lets everybody go who waits.
func (l *linkWait) giveUp() {
	if !l.state.CompareAndSwap(uint32(mending), uint32(away)) {
		return // there is a link
	}
	l.mu.Lock()
	waiters := l.waiters
	l.waiters = nil
	l.unheard = l.unheard || len(waiters) > 0
	l.mu.Unlock()
	release(waiters)
	if l.given != nil {
		l.given()
	}
}

// up notes that there is a link. It reports whether anybody was let in without, and returns who waits: the caller releases
// them.
func (l *linkWait) up() (unheard bool, waiters []Waiter) {
	l.state.Store(uint32(subscribed))
	if l.timer != nil {
		l.timer.Stop()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	unheard, waiters = l.unheard, l.waiters
	l.unheard, l.waiters = false, nil
	return unheard, waiters
}

// end is called when there will be no link any more.
func (l *linkWait) end() {
	l.down()
	l.timer.Stop()
	l.giveUp()
}
