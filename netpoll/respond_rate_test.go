package netpoll

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"roost/wsproto/auth"
	"roost/wsproto/handshake"
)

// senders are a client that floods, and honest ones that come now and then, each from an address of its own, as the server
// comes to know them.
type senders struct {
	flooder func(request string) *raw
	honest  func(n int, request string) *raw
}

// direct is clients that connect themselves.
func direct(r *rig) senders {
	from := func(address, request string) *raw {
		client := r.dialFrom(address)
		client.send(r.t, request)
		return client
	}
	return senders{
		func(request string) *raw { return from("127.0.0.66", request) },
		func(n int, request string) *raw { return from(fmt.Sprintf("127.0.1.%d", n+1), request) },
	}
}

// reported is clients of a trusted proxy that reports them.
func reported(r *rig) senders {
	from := func(address, request string) *raw {
		client := r.dial()
		client.send(r.t, lineAdded(request, "X-Forwarded-For: "+address))
		return client
	}
	return senders{
		func(request string) *raw { return from("192.0.2.66", request) },
		func(n int, request string) *raw { return from(fmt.Sprintf("2001:db8:0:%x::1", n+1), request) },
	}
}

// trusting is a configuration that believes proxies on this machine.
func trusting(t *testing.T, c *Config) {
	t.Helper()
	c.Upgrader = newUpgrader(t, auth.Config{}, handshake.Config{TrustedProxies: []string{"127.0.0.1"}})
}

// withJunk is a request with a token that somebody else has signed.
func withJunk(t *testing.T) string {
	t.Helper()
	request := upgradeRequest(t, "mallory")
	return strings.Replace(request, " HTTP/1.1", "x HTTP/1.1", 1)
}

// Junk, however much of it comes, leaves those with a good token their handshakes, and is answered itself.
func TestJunkLeavesHandshakesTheirRate(t *testing.T) {
	t.Parallel()
	const junk, honest = 500, 40
	for name, from := range map[string]func(*rig) senders{"direct": direct, "reported by a proxy": reported} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, func(c *Config) {
				c.HandshakeRate, c.HandshakeBurst = 1, honest+1
				trusting(t, c)
			})
			clients, request, begun := from(r), withJunk(t), time.Now()
			for n := range junk {
				client := clients.flooder(request)
				if status, _ := client.status(t); status != http.StatusUnauthorized {
					t.Fatalf("junk is answered %d, want 401", status)
				}
				_ = client.Close()
				if n%(junk/honest) == 0 && n/(junk/honest) < honest {
					client := clients.honest(n/(junk/honest), upgradeRequest(t, "alice"))
					if status, _ := client.status(t); status != http.StatusSwitchingProtocols {
						t.Errorf("after %d pieces of junk an honest client is answered %d", n+1, status)
					}
				}
			}
			s := r.server.Stats()
			if s.Refused["handshake_rate"] != 0 || s.Opened != honest {
				t.Errorf("%d were let in, %d refused for the rate", s.Opened, s.Refused["handshake_rate"])
			}
			if s.LingerCut < junk-2*honest-int(time.Since(begun).Seconds()) { // the burst's half, and what came back since
				t.Errorf("%d of %d pieces of junk were not waited for", s.LingerCut, junk)
			}
		})
	}
}

// A client with a good token that connects again and again takes its own share, and not that of others.
func TestHandshakesAreShared(t *testing.T) {
	t.Parallel()
	const burst, honest = 90, 8
	for name, from := range map[string]func(*rig) senders{"direct": direct, "reported by a proxy": reported} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, func(c *Config) {
				c.HandshakeRate, c.HandshakeBurst = 1, burst
				trusting(t, c)
			})
			clients, request := from(r), upgradeRequest(t, "mallory")
			admitted := 0
			for range 2 * burst {
				client := clients.flooder(request)
				if status, _ := client.status(t); status == http.StatusSwitchingProtocols {
					admitted++
				}
				_ = client.Close()
			}
			if admitted < burst*handshakeShare/(1+handshakeShare) {
				t.Errorf("one that is alone got %d of %d", admitted, burst)
			}
			for n := range honest {
				client := clients.honest(n, upgradeRequest(t, "alice"))
				if status, _ := client.status(t); status != http.StatusSwitchingProtocols {
					t.Errorf("honest client %d is answered %d", n, status)
				}
			}
		})
	}
}

// Refusals that come too fast are answered like others, but the socket is closed at once.
func TestRefusalsAreNotWaitedFor(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *Config) { c.HandshakeRate, c.HandshakeBurst, c.LingerTimeout = 1, 1, time.Minute })
	const refused = 20
	begun := time.Now()
	for n := range refused {
		client := r.wants(http.StatusNotFound, "GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n")
		defer client.Close()
		if n > 0 {
			eventually(t, "it is closed", func() bool { s := r.server.Stats(); return s.Sockets == s.Lingering })
		}
	}
	waited := 2 + int(time.Since(begun).Seconds()) // the burst, and one a second
	if s := r.server.Stats(); s.Lingering > waited || s.Refused["not_found"] != refused || s.LingerCut < refused-waited {
		t.Errorf("%d linger, %d don't, of %d refused", s.Lingering, s.LingerCut, s.Refused["not_found"])
	}
	r.wants(http.StatusOK, healthRequest) // is no refusal
}
