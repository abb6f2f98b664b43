package gcpace

import (
	"testing"

	"roost/cmd/roost/internal/sizing"
)

func TestSoftLimit(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	worst := func(live, sockets, buffers uint64) sizing.Worst {
		return sizing.Worst{Parts: []sizing.Part{
			{Bytes: live * mib, Owner: sizing.User}, {Bytes: sockets * mib, Owner: sizing.Sockets}, {Bytes: buffers * mib, Owner: sizing.Buffers},
		}}
	}
	tests := map[string]struct {
		limit       uint64
		connections int
		worst       sizing.Worst
		buffers     bool
		want        int64
	}{
		"no limit":                         {0, 10_000, worst(400, 60, 1000), true, 0},
		"room for the worst case":          {1000 * mib, 10_000, worst(400, 75, 200), true, 625 * mib},
		"buffers are not charged":          {1000 * mib, 10_000, worst(400, 75, 200), false, 825 * mib},
		"no room for all buffers":          {1000 * mib, 10_240, worst(480, 75, 2000), true, 540 * mib},
		"nor for all that may be in use":   {400 * mib, 10_240, worst(800, 75, 2000), true, 300 * mib}, // 60 MiB of sockets
		"too many connections":             {1000 * mib, 10_000_000, worst(800, 75_000, 2000), true, 500 * mib},
		"small":                            {100 * mib, 10_000, worst(400, 75, 2000), true, 50 * mib},
		"tiny":                             {10, -1, worst(0, 0, 0), true, 9},
		"little in use, and large buffers": {1000 * mib, 1000, worst(100, 10, 2000), true, 500 * mib},
	}
	for name, tt := range tests {
		if got := SoftLimit(tt.limit, tt.connections, tt.worst, tt.buffers); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
}
