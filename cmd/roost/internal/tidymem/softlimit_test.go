package tidymem

import "testing"

func TestSoftLimit(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	tests := []struct {
		limit       uint64
		connections int
		want        int64
	}{
		{0, 10_000, 0},
		{1000 * mib, 0, 900 * mib},
		{1000 * mib, 51_200, 600 * mib}, // 300 MiB of sockets
		{1000 * mib, 10_000_000, 500 * mib},
		{100 * mib, 10_000, 50 * mib},
		{10, -1, 9},
	}
	for _, tt := range tests {
		if got := SoftLimit(tt.limit, tt.connections); got != tt.want {
			t.Errorf("%d bytes with %d connections: %d, want %d", tt.limit, tt.connections, got, tt.want)
		}
	}
}
