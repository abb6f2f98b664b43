package presence

import (
	"testing"
	"time"
)

func TestRounds(t *testing.T) {
	t.Parallel()
	start := time.Now()
	r := newRounds(start, 64*time.Second, 64)
	turns := func(until time.Duration) (parts []int) {
		for {
			part, early := r.next(start.Add(until))
			if early > 0 {
				return parts
			}
			parts = append(parts, part)
		}
	}
	if _, early := r.next(start.Add(200 * time.Millisecond)); early != 800*time.Millisecond {
		t.Errorf("the first turn is in %s, want 800ms", early)
	}
	for i := range 200 {
		if got := turns(time.Duration(i+1) * time.Second); len(got) != 1 || got[0] != i%64 {
			t.Fatalf("turns in second %d: %v", i, got)
		}
	}
	if got := turns(210 * time.Second); len(got) != 10 || got[0] != 200%64 || got[9] != 209%64 {
		t.Errorf("after ten seconds: %v", got)
	}
	late := turns(10000 * time.Second)
	if len(late) != 64 {
		t.Fatalf("%d turns after a long time, want one for each part", len(late))
	}
	seen := make(map[int]bool)
	for _, part := range late {
		seen[part] = true
	}
	if len(seen) != 64 {
		t.Errorf("%d parts have had a turn, want 64", len(seen))
	}
	if _, early := r.next(start.Add(10000500 * time.Millisecond)); early != 500*time.Millisecond {
		t.Errorf("the next turn is in %s, want 500ms", early)
	}
}
