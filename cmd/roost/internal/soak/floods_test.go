package soak

import (
	"strings"
	"testing"
	"time"

	"roost/cmd/roost/internal/roosttest"
)

// floods are what strangers, tenants and scrapers do to have all of what is shared. They come from addresses of their
// own, 127.0.1.1 and on.
func floods(t testing.TB) []troublemaker {
	t.Helper()
	const often, seldom = 5 * time.Millisecond, 50 * time.Millisecond
	ask := func(request string, stay time.Duration) func(*peer) {
		return func(p *peer) {
			p.send(request)
			p.takeSome()
			p.wait(stay)
		}
	}
	claims := roosttest.Claims{"sub": "mallory", "exp": time.Now().Add(24 * time.Hour).Unix()}
	forged := roosttest.Sign(t, "HS256", "nobody's secret, nobody's secret", claims)
	stranger := roosttest.NewKeyPair(t, "RS256", issuerKey)
	const metrics = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
	return []troublemaker{
		{name: "idle connections to the admin port", far: true, admin: true, many: 80, pause: seldom, shows: "roost_admin_connections_evicted_total",
			act: func(p *peer) { p.takeAll() }},
		{name: "/metrics, again and again", far: true, admin: true, many: 4, pause: seldom, shows: "roost_admin_connections",
			act: func(p *peer) {
				for p.send(metrics) && p.takeSome() && p.wait(20*time.Millisecond) {
				}
			}},
		{name: "16 KB of a request, and never the rest", far: true, many: 80, pause: seldom, shows: refusedAs("pending_bytes"),
			act: func(p *peer) {
				const start = "GET /ws HTTP/1.1\r\nHost: x\r\nX: "
				p.send(start + strings.Repeat("x", 16_300-len(start)))
				p.takeAll()
			}},
		{name: "tokens that are not good", far: true, pause: often, shows: refusedAs("token_signature"),
			act: ask(roosttest.Head(forged), 0)},
		{name: "tokens of key pairs that are not good", far: true, pause: often, shows: refusedAs("token_signature"),
			act: ask(roosttest.Head(stranger.Sign(t, issuerKey, claims)), 0)},
		{name: "tokens with the name of no key", far: true, pause: often, shows: refusedAs("token_key"),
			act: ask(roosttest.Head(stranger.Sign(t, "bogus", claims)), 0)},
		{name: "404s, whose sockets stay", far: true, many: 20, pause: often, shows: refusedAs("not_found"),
			act: ask("GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", time.Second)},
		{name: "reads nothing of what many get", user: streamUser, far: true, many: 10, receive: 4096, pause: seldom,
			shows: `roost_deliveries_failed_total{reason="slow_consumer"}`, act: func(p *peer) { p.wait(3500 * time.Millisecond) }},
		{name: "connects again and again", user: "tenant", far: true, many: 2, pause: often, shows: closedAs("client_gone"),
			act: func(p *peer) { p.reset() }},
	}
}

// streamUser is one whose notifications many connections get, and do not read.
const streamUser = "stream"

// issuerKey is the name of the key pair of the issuer that the server trusts.
const issuerKey = "key-1"
