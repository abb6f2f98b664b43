package netpoll

import (
	"math/rand/v2"
	"net/http"
	"net/netip"
	"testing"
)

func TestAddressKey(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"192.0.2.1":               "192.0.2.1",
		"::ffff:192.0.2.1":        "192.0.2.1",
		"2001:db8:1:2:3:4:5:6":    "2001:db8:1:2::",
		"2001:db8:1:2::":          "2001:db8:1:2::",
		"2001:db8:1:3::":          "2001:db8:1:3::",
		"fe80::1%eth0":            "fe80::",
		"::1":                     "::",
		"2001:db8::192.0.2.1":     "2001:db8::",
		"64:ff9b:1:2::192.0.2.33": "64:ff9b:1:2::",
	} {
		if got := addressKey(netip.MustParseAddr(address)); got != netip.MustParseAddr(want) {
			t.Errorf("%s counts as %s, want %s", address, got, want)
		}
	}
}

// Compared with a plain map, over comings and goings.
func TestAddresses(t *testing.T) {
	t.Parallel()
	const limit = 3
	var a addresses
	model := map[netip.Addr]int{}
	type one struct {
		address netip.Addr
		place   uint32
	}
	var here []one
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		if len(here) > 0 && random.IntN(2) == 0 {
			i := random.IntN(len(here))
			a.leave(here[i].place)
			model[here[i].address]--
			here[i] = here[len(here)-1]
			here = here[:len(here)-1]
			continue
		}
		address := netip.AddrFrom4([4]byte{192, 0, 2, byte(random.IntN(30))})
		place, ok := a.take(address, limit)
		if ok != (model[address] < limit) {
			t.Fatalf("%s has %d of %d: admitted is %v", address, model[address], limit, ok)
		}
		if ok {
			model[address]++
			here = append(here, one{address, place})
		}
	}
	for _, o := range here {
		a.leave(o.place)
	}
	if a.places != nil || a.counts != nil {
		t.Error("memory is kept for nobody")
	}
}

// One address can't have all the connections, and gets its places back.
func TestAddressLimit(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *Config) { c.MaxPerAddress = 3 })
	first := r.connect("a")
	r.connect("b")
	r.connect("c")
	for range 5 {
		if response, _ := r.ask("d"); response.StatusCode != http.StatusTooManyRequests || response.Header.Get("Retry-After") == "" {
			t.Fatalf("the fourth is answered %s", response.Status)
		}
	}
	if n := r.server.Stats().Refused["address_full"]; n != 5 {
		t.Errorf("%d refusals are counted, want 5", n)
	}
	_ = first.Close()
	eventually(t, "there is room", func() bool { return r.hub.Connections() == 2 })
	r.connect("d")
}
