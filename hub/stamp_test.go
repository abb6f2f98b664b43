package hub

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestStamp(t *testing.T) {
	t.Parallel()
	var s stamper
	now := noon
	for range 10_000 {
		if got, want := s.stamp(now), now.UTC().Format(timestampLayout); string(got[:]) != want {
			t.Fatalf("stamp of %v: %s, want %s", now, got, want)
		}
		// Mostly on by little, at times far, at times back.
		step := time.Duration(rand.Int64N(int64(300 * time.Millisecond)))
		switch rand.IntN(20) {
		case 0:
			step = time.Duration(rand.Int64N(int64(1000 * 24 * time.Hour)))
		case 1:
			step = -step
		}
		now = now.Add(step)
	}
}
