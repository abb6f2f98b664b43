package iplimit

import (
	"math/rand/v2"
	"net/netip"
	"testing"
)

// Compared with a plain map, over comings and goings.
func TestCounterAgainstModel(t *testing.T) {
	t.Parallel()
	const limit = 3
	var a Counter
	model := map[Source]int{}
	type one struct {
		address Source
		place   uint32
	}
	var here []one
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		if len(here) > 0 && random.IntN(2) == 0 {
			i := random.IntN(len(here))
			a.Release(here[i].place)
			model[here[i].address]--
			here[i] = here[len(here)-1]
			here = here[:len(here)-1]
			continue
		}
		address := Source(random.IntN(30))
		full := a.Full(address, limit)
		place, ok := a.Acquire(address, limit)
		if full == ok {
			t.Fatalf("%d has %d of %d: full is %v", address, model[address], limit, full)
		}
		if ok != (model[address] < limit) {
			t.Fatalf("%d has %d of %d: admitted is %v", address, model[address], limit, ok)
		}
		if ok {
			model[address]++
			here = append(here, one{address, place})
		}
	}
	for _, o := range here {
		a.Release(o.place)
	}
	if a.places != nil || a.counts != nil {
		t.Error("memory is kept for nobody")
	}
}

func TestSourceOf(t *testing.T) {
	t.Parallel()
	same := [][2]string{
		{"192.0.2.1", "::ffff:192.0.2.1"}, {"2001:db8:1:2::1", "2001:db8:1:2:ffff::9"}, {"fe80::1%eth0", "fe80::2"},
	}
	for _, pair := range same {
		if SourceOf(netip.MustParseAddr(pair[0])) != SourceOf(netip.MustParseAddr(pair[1])) {
			t.Errorf("%s and %s are not one source", pair[0], pair[1])
		}
	}
	different := []string{"192.0.2.1", "192.0.2.2", "2001:db8:1:2::1", "2001:db8:1:3::1", "::1", "0.0.0.0"}
	seen := map[Source]string{}
	for _, address := range different {
		of := SourceOf(netip.MustParseAddr(address))
		if other, ok := seen[of]; ok {
			t.Errorf("%s and %s are one source", address, other)
		}
		seen[of] = address
	}
	if SourceOf(netip.Addr{}) != 0 {
		t.Error("no address is a source")
	}
}
