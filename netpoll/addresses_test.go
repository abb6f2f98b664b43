package netpoll

import (
	"math/rand/v2"
	"net/http"
	"testing"
)

// Compared with a plain map, over comings and goings.
func TestAddresses(t *testing.T) {
	t.Parallel()
	const limit = 3
	var a addresses
	model := map[source]int{}
	type one struct {
		address source
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
		address := source(random.IntN(30))
		place, ok := a.take(address, limit)
		if ok != (model[address] < limit) {
			t.Fatalf("%d has %d of %d: admitted is %v", address, model[address], limit, ok)
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
	r := start(t, func(c *Config) { c.MaxPerIP = 3 })
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
