package front

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"roost/cmd/roost/internal/roosttest"
)

// The proxy's connections to Roost are spread over eight addresses, each with source ports of its own, and all of them
// come from the one address that has to be trusted.
func TestConnectionsAreSpread(t *testing.T) {
	forEach(t, func(t *testing.T, k *kind) {
		f := start(t, k, nil)
		const clients = 24
		for i := range clients {
			f.connect(fmt.Sprint("user", i))
		}
		f.server.WaitMetric("roost_connections", clients)
		// The kernel's table is read in pieces, while sockets of other tests come and go: one reading can have a line twice.
		roosttest.WaitFor(t, "connections that are spread over eight addresses", func() bool {
			count, seen := make(map[netip.Addr]int), make(map[socket]bool)
			for _, c := range established(t) {
				if fmt.Sprint(c.remote.Port()) != f.env["WS_PORT"] || seen[c] {
					continue
				}
				seen[c] = true
				count[c.remote.Addr()]++
				if c.local.Addr().String() != "127.0.0.1" {
					t.Errorf("a connection comes from %s", c.local)
				}
			}
			for i := byte(1); i <= 8; i++ {
				if n := count[netip.AddrFrom4([4]byte{127, 0, 0, i})]; n < 2 || n > 4 {
					return false
				}
			}
			return true
		})
	})
}

type socket struct{ local, remote netip.AddrPort }

// established are the machine's open connections over IPv4.
func established(t *testing.T) []socket {
	t.Helper()
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	var all []socket
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[3] != "01" {
			continue
		}
		all = append(all, socket{endpoint(t, fields[1]), endpoint(t, fields[2])})
	}
	return all
}

// endpoint reads what /proc/net/tcp has as 0100007F:1F91.
func endpoint(t *testing.T, text string) netip.AddrPort {
	t.Helper()
	var a, b, c, d byte
	var port uint16
	if _, err := fmt.Sscanf(text, "%02X%02X%02X%02X:%04X", &d, &c, &b, &a, &port); err != nil {
		t.Fatalf("/proc/net/tcp has %q: %v", text, err)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{a, b, c, d}), port)
}

// Without the several addresses this file would not be needed: the numbers in its head have to be true.
func TestTheWallIsAsTheFilesSay(t *testing.T) {
	t.Parallel()
	const ports = 60999 - 32768 + 1
	for _, k := range kinds {
		text, err := os.ReadFile("../../../../scripts/proxy/" + k.file)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{ports, 8 * ports} {
			if number := fmt.Sprintf("%d,%03d", n/1000, n%1000); !strings.Contains(string(text), number) {
				t.Errorf("%s does not name %s", k.file, number)
			}
		}
	}
}
