package pause

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestFor(t *testing.T) {
	for _, test := range []struct {
		name         string
		pause, until time.Duration // the context ends after until; negative: it has ended
		want         bool
		takes        time.Duration
	}{
		{"the whole pause", time.Minute, time.Hour, true, time.Minute},
		{"no pause", 0, time.Hour, true, 0},
		{"a pause that is over", -time.Second, time.Hour, true, 0},
		{"the context ends meanwhile", time.Hour, time.Minute, false, time.Minute},
		{"the context has ended", time.Hour, -1, false, 0},
		{"the context has ended, and the pause is over", 0, -1, false, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), test.until)
				defer cancel()
				began := time.Now()
				if got := For(ctx, test.pause); got != test.want {
					t.Errorf("it returned %v", got)
				}
				if took := time.Since(began); took != test.takes {
					t.Errorf("it took %s, not %s", took, test.takes)
				}
			})
		})
	}
}
