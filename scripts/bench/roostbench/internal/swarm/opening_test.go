package swarm

import (
	"testing"
	"time"
)

func TestOpeningKeepsItsPace(t *testing.T) {
	t.Parallel()
	start := time.Unix(1_000, 0)
	tests := []struct {
		name      string
		o         opening
		after     time.Duration
		due, wait int
	}{
		{"as fast as may be", opening{queue: make([]*conn, 9), pace: Pace{InFlight: 5}, inFlight: 2}, 0, 3, 0},
		{"the queue is short", opening{queue: make([]*conn, 1), pace: Pace{InFlight: 5}, inFlight: 2}, 0, 1, 0},
		{"the first at once", opening{queue: make([]*conn, 9), pace: Pace{InFlight: 5, Rate: 10}}, 0, 1, 0},
		{"too early", opening{queue: make([]*conn, 9), pace: Pace{InFlight: 5, Rate: 10}, begun: 1}, 90 * time.Millisecond, 0, 1},
		{"in time", opening{queue: make([]*conn, 9), pace: Pace{InFlight: 5, Rate: 10}, begun: 1}, 210 * time.Millisecond, 2, 0},
		{"too many in flight", opening{queue: make([]*conn, 9), pace: Pace{InFlight: 5}, inFlight: 5}, 0, 0, -1},
		{"nothing to do", opening{pace: Pace{InFlight: 5}}, 0, 0, -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.o.start = start
			now := start.Add(tt.after)
			if due, wait := tt.o.due(now), tt.o.wait(now); due != tt.due || wait != tt.wait {
				t.Errorf("due %d, wait %d, want %d and %d", due, wait, tt.due, tt.wait)
			}
		})
	}
}
