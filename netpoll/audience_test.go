package netpoll

import (
	"sync"
	"testing"
)

// audience is an Audience that counts. What it answers is up to the test.
type audience struct {
	answer func(user string, waiter Waiter) bool // static; called without mu; nil: nobody is heard until heard says so

	mu      sync.Mutex
	joins   map[string]int      // guarded by mu
	leaves  map[string]int      // guarded by mu
	below   []string            // guarded by mu: users that were left more often than joined
	waiting map[string][]Waiter // guarded by mu: of those whom answer let wait
}

// startAudience is start with an audience.
func startAudience(t testing.TB, answer func(string, Waiter) bool, change func(*Config)) (*rig, *audience) {
	t.Helper()
	a := newAudience(answer)
	return start(t, func(c *Config) {
		c.Audience = a
		if change != nil {
			change(c)
		}
	}), a
}

func newAudience(answer func(string, Waiter) bool) *audience {
	return &audience{answer: answer, joins: map[string]int{}, leaves: map[string]int{}, waiting: map[string][]Waiter{}}
}

func (a *audience) Join(user string, waiter Waiter) bool {
	a.mu.Lock()
	a.joins[user]++
	a.mu.Unlock()
	if a.answer != nil && a.answer(user, waiter) {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting[user] = append(a.waiting[user], waiter)
	return false
}

func (a *audience) Leave(user string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.leaves[user]++; a.leaves[user] > a.joins[user] {
		a.below = append(a.below, user)
	}
}

// heard tells those who wait for user that it is heard.
func (a *audience) heard(user string) {
	a.mu.Lock()
	waiting := a.waiting[user]
	delete(a.waiting, user)
	a.mu.Unlock()
	for _, w := range waiting {
		w.Heard()
	}
}

// joined returns how often user was joined, and how often it was not left since.
func (a *audience) joined(user string) (joins, now int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.joins[user], a.joins[user] - a.leaves[user]
}

// balanced waits until everybody has been left who was joined.
func (a *audience) balanced(t testing.TB) {
	t.Helper()
	var open map[string]int
	defer func() {
		if t.Failed() {
			t.Logf("users that are joined still: %v", open)
		}
	}()
	eventually(t, "everybody who was joined is left", func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		open = map[string]int{}
		for user, n := range a.joins {
			if n != a.leaves[user] {
				open[user] = n - a.leaves[user]
			}
		}
		return len(open) == 0
	})
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.below) > 0 || len(a.leaves) > len(a.joins) {
		t.Errorf("left more often than joined: %q", a.below)
	}
}

// awaitingIs waits until so many handshakes wait for the audience.
func (r *rig) awaitingIs(n int) {
	r.t.Helper()
	eventually(r.t, "handshakes wait for the audience", func() bool { return r.server.Stats().AwaitingFeed == n })
}
