package connect

import (
	"net"
	"net/http"
	"testing"

	"github.com/pires/go-proxyproto"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// proxyHeader is a PROXY header as a library for it writes it.
func proxyHeader(t *testing.T, version byte, client string) string {
	t.Helper()
	source := &net.TCPAddr{IP: net.ParseIP(client), Port: 4711}
	destination := &net.TCPAddr{IP: net.ParseIP("198.51.100.1"), Port: 443}
	if source.IP.To4() == nil {
		destination.IP = net.ParseIP("2001:db8:ffff::1")
	}
	header, err := proxyproto.HeaderProxyFromAddrs(version, source, destination).Format()
	if err != nil {
		t.Fatal(err)
	}
	return string(header)
}

// Behind proxies that speak the PROXY protocol it is the client's address that counts, and nobody else is believed
// about it.
func TestProxyProtocol(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	server := roosttest.Start(t, redis, roosttest.Env{
		"WS_MAX_CONNECTIONS_PER_IP": "1", "WS_PROXY_PROTOCOL": "true", "WS_TRUSTED_PROXIES": "127.0.0.1, 127.0.0.2/31",
	})
	ask := roosttest.Head(roosttest.Token(t, "alice"))
	forwarded := roosttest.Head(roosttest.Token(t, "alice"), "X-Forwarded-For: 192.0.2.9")
	const in, full, bad = http.StatusSwitchingProtocols, http.StatusTooManyRequests, http.StatusBadRequest
	for _, test := range []struct {
		from, request string
		status        int
	}{
		{"127.0.0.1", proxyHeader(t, 1, "192.0.2.1") + ask, in},
		{"127.0.0.1", proxyHeader(t, 2, "192.0.2.2") + ask, in},
		{"127.0.0.2", proxyHeader(t, 2, "192.0.2.1") + ask, full}, // by another proxy, the same client
		{"127.0.0.2", proxyHeader(t, 1, "192.0.2.2") + ask, full},
		{"127.0.0.2", proxyHeader(t, 2, "2001:db8::1") + ask, in},
		{"127.0.0.3", proxyHeader(t, 1, "2001:db8::2") + ask, full}, // the same /64
		{"127.0.0.3", proxyHeader(t, 2, "192.0.2.1") + forwarded, full},
		{"127.0.0.3", proxyHeader(t, 2, "127.0.0.1") + forwarded, in}, // a proxy behind a proxy
		{"127.0.0.1", proxyHeader(t, 2, "192.0.2.9") + ask, full},

		{"127.0.0.1", ask, bad},
		{"127.0.0.1", "PROXY TCP4 192.0.2.3 198.51.100.1 04711 443\r\n" + ask, bad},
		{"127.0.0.4", proxyHeader(t, 1, "192.0.2.3") + ask, bad}, // nobody's proxy
		{"127.0.0.4", proxyHeader(t, 2, "192.0.2.3") + ask, bad},
		{"127.0.0.4", ask, in},
	} {
		client := server.DialFrom(test.from)
		client.Send(test.request)
		if answer := client.Answer(http.MethodGet); answer.StatusCode != test.status {
			t.Errorf("%.60q from %s: answered %s %s, want %d", test.request, test.from, answer.Status, answer.Text, test.status)
		}
	}
	metrics := server.Metrics()
	for reason, want := range map[string]float64{
		"address_full": 5, "proxy_header_missing": 1, "proxy_header_invalid": 1, "proxy_header_untrusted": 2, "bad_request": 0,
	} {
		if got := metrics[`roost_connections_refused_total{reason="`+reason+`"}`]; got != want {
			t.Errorf("%v are counted as %s, want %v", got, reason, want)
		}
	}
	server.WaitLine("connected", "remote", "192.0.2.1:4711")
	server.WaitLine("connected", "remote", "[2001:db8::1]:4711")
	server.WaitLine("connected", "remote", "192.0.2.9")
	server.WaitLine("a client was refused", "reason", "proxy_header_missing")
	// The server's own check comes from a trusted address too.
	e2e.WaitDeep(t, server)
}
