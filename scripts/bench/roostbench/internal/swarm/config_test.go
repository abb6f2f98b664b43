package swarm

import (
	"errors"
	"net/netip"
	"testing"
)

func TestLoopOfAConnection(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name         string
		loops, apart int
		n, want      int
	}{
		{"one for all", 1, 0, 7, 0},
		{"in turn", 3, 0, 7, 1},
		{"before those apart", 1, 5, 4, 0},
		{"apart", 1, 5, 5, 1},
		{"before those apart, in turn", 3, 5, 3, 1},
		{"apart, of three", 3, 5, 6, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := Config{Server: netip.MustParseAddrPort("127.0.0.1:1"), Loops: tt.loops, Apart: tt.apart}.withDefaults()
			if got := c.loop(tt.n); err != nil || got != tt.want {
				t.Errorf("loop %d, %v, want %d", got, err, tt.want)
			}
		})
	}
}

func TestSourcesHaveAnEnd(t *testing.T) {
	t.Parallel()
	at := netip.MustParseAddrPort("127.0.0.1:1")
	if _, err := (Config{Server: at, FirstSource: 240, Sources: 11}).withDefaults(); !errors.Is(err, errSources) {
		t.Errorf("got %v", err)
	}
	c, err := Config{Server: at, FirstSource: 240, Sources: 10}.withDefaults()
	if got := newDialer(c).source(19).Addr; err != nil || got != [4]byte{127, 0, 0, 251} {
		t.Errorf("the last is %v, %v", got, err)
	}
}
