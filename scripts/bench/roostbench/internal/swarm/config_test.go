package swarm

import (
	"errors"
	"net/netip"
	"testing"
)

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
