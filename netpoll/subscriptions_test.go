package netpoll

import (
	"sync"
	"testing"
)

// subscriptions is a Subscriptions that counts. What it answers is up to the test.
type subscriptions struct {
	answer func(user string, waiter Waiter) bool // static; called without mu; nil: nobody is heard until heard says so

	mu       sync.Mutex
	acquired map[string]int      // guarded by mu
	released map[string]int      // guarded by mu
	below    []string            // guarded by mu: users that were released more often than acquired
	waiting  map[string][]Waiter // guarded by mu: of those whom answer let wait
}

// startSubscriptions is start with subscriptions.
func startSubscriptions(t testing.TB, answer func(string, Waiter) bool, change func(*Config)) (*rig, *subscriptions) {
	t.Helper()
	a := newSubscriptions(answer)
	return start(t, func(c *Config) {
		c.Subscriptions = a
		if change != nil {
			change(c)
		}
	}), a
}

func newSubscriptions(answer func(string, Waiter) bool) *subscriptions {
	return &subscriptions{answer: answer, acquired: map[string]int{}, released: map[string]int{}, waiting: map[string][]Waiter{}}
}

func (a *subscriptions) Acquire(user string, waiter Waiter) bool {
	a.mu.Lock()
	a.acquired[user]++
	a.mu.Unlock()
	if a.answer != nil && a.answer(user, waiter) {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting[user] = append(a.waiting[user], waiter)
	return false
}

func (a *subscriptions) Release(user string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.released[user]++; a.released[user] > a.acquired[user] {
		a.below = append(a.below, user)
	}
}

// heard tells those who wait for user that it is heard.
func (a *subscriptions) heard(user string) {
	a.mu.Lock()
	waiting := a.waiting[user]
	delete(a.waiting, user)
	a.mu.Unlock()
	for _, w := range waiting {
		w.Subscribed()
	}
}

// acquiredOf returns how often user was acquired, and how often not released since.
func (a *subscriptions) acquiredOf(user string) (acquired, now int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.acquired[user], a.acquired[user] - a.released[user]
}

// balanced waits until each Acquire has its Release.
func (a *subscriptions) balanced(t testing.TB) {
	t.Helper()
	var open map[string]int
	defer func() {
		if t.Failed() {
			t.Logf("users that are still acquired: %v", open)
		}
	}()
	eventually(t, "each acquired user is released", func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		open = map[string]int{}
		for user, n := range a.acquired {
			if n != a.released[user] {
				open[user] = n - a.released[user]
			}
		}
		return len(open) == 0
	})
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.below) > 0 || len(a.released) > len(a.acquired) {
		t.Errorf("released more often than acquired: %q", a.below)
	}
}

// awaitingIs waits until so many handshakes wait for the subscriptions.
func (r *rig) awaitingIs(n int) {
	r.t.Helper()
	eventually(r.t, "handshakes wait for the subscriptions", func() bool { return r.server.Stats().AwaitingFeed == n })
}
