package redistest

import (
	"errors"
	"testing"
	"time"
)

var errNotYet = errors.New("not yet")

// await asks again and again what is still missing, until nothing is; the test fails if that takes longer than Patience.
func await(t testing.TB, what string, missing func() error) {
	t.Helper()
	deadline := time.NewTimer(Patience)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := missing()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("redistest: waited %s for %s: %v", Patience, what, err)
		}
	}
}
