package loglimit

import (
	"sync"
	"testing"
	"time"
)

func TestTheNextLineNamesThoseLeftOut(t *testing.T) {
	l := New(time.Hour, 2)
	for i, want := range []bool{true, true, false, false, false} {
		if n, ok := l.Allow(); ok != want || n != 0 {
			t.Errorf("line %d: %d left out, allowed %v, want %v", i, n, ok, want)
		}
	}
	l.rate.SetBurst(3) // as if time had passed
	l.rate.SetLimit(1e9)
	if n, ok := l.Allow(); !ok || n != 3 {
		t.Errorf("%d left out, allowed %v, want 3, true", n, ok)
	}
	if n, ok := l.Allow(); !ok || n != 0 {
		t.Errorf("%d left out, allowed %v, want 0, true", n, ok)
	}
}

// Every line is either allowed or in the number of one that is.
func TestNoLineIsUncounted(t *testing.T) {
	l := New(time.Microsecond, 1)
	const workers, lines = 4, 1000
	var wg sync.WaitGroup
	var mu sync.Mutex
	var total uint64
	for range workers {
		wg.Go(func() {
			var own uint64
			for range lines {
				if n, ok := l.Allow(); ok {
					own += 1 + n
				}
			}
			mu.Lock()
			total += own
			mu.Unlock()
		})
	}
	wg.Wait()
	if total += l.leftOut.Load(); total != workers*lines {
		t.Errorf("%d lines are accounted for, want %d", total, workers*lines)
	}
}
