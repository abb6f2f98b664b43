package netpoll

import (
	"net/http"
	"testing"
)

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
	eventually(t, "there is room", func() bool { return r.server.Stats().Sockets == 2 }) // behind the hub, the address gives the place back
	r.connect("d")
}
