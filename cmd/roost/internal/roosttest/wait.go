package roosttest

import (
	"testing"
	"time"
)

// Limit is how long anything that should happen soon may take, on a machine that is busy with other things as well.
const Limit = 3 * time.Minute

// WaitFor waits until a condition holds, and fails the test after Limit.
func WaitFor(t testing.TB, what string, holds func() bool) {
	t.Helper()
	WaitWithin(t, Limit, what, holds)
}

// WaitWithin is WaitFor with a limit of its own, for what has to happen in time.
func WaitWithin(t testing.TB, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	if !within(limit, holds) {
		t.Fatalf("waited %s for %s", limit, what)
	}
}

// within asks every few milliseconds, and less often what takes long: browsers and servers spend most of their time on answers
// otherwise.
func within(limit time.Duration, holds func() bool) bool {
	pause := 5 * time.Millisecond
	for deadline := time.Now().Add(limit); !holds(); pause = min(pause*3/2, 40*time.Millisecond) {
		if time.Now().After(deadline) {
			return holds() // the machine may have stood still since it was asked
		}
		time.Sleep(pause)
	}
	return true
}

// Elapse returns once d has passed, for a test that needs some traffic to go on for a while. It calls each once every
// step. Of a d that is not above 0 nothing is left to pass.
func Elapse(d, step time.Duration, each func()) {
	if d <= 0 {
		return
	}
	end := time.NewTimer(d)
	defer end.Stop()
	tick := time.NewTicker(step)
	defer tick.Stop()
	for {
		select {
		case <-end.C:
			return
		case <-tick.C:
			each()
		}
	}
}
