package wss

import (
	"crypto/tls"
	"net"
	"strconv"
	"testing"
	"time"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// With one variable a server gets its certificate from a real ACME server over its own port, and the next start has it from the cache.
func TestCertificateByACME(t *testing.T) {
	if testing.Short() {
		t.Skip("builds pebble")
	}
	t.Parallel()
	address := roosttest.FreeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	number, _ := strconv.Atoi(port)
	pebble := roosttest.StartPebble(t, number, 90*24*time.Hour)
	redis := redistest.Start(t)
	env := roosttest.Env{
		"WS_TLS_ACME_DOMAIN": "ws.example.com", "WS_TLS_ACME_DIRECTORY": pebble.Directory, "WS_TLS_ACME_EMAIL": "ops@example.com",
		"WS_TLS_PORT": port, "SSL_CERT_FILE": pebble.CAFile, "XDG_CACHE_HOME": t.TempDir(), "WS_PLAIN": "false",
	}
	var server *roosttest.Server
	roosttest.WaitFor(t, "pebble to look at the port in its own time, which a busy machine may not let it do", func() bool {
		server = roosttest.Start(t, redis, env)
		ended := func(line string) bool { return len(server.Log.Find(line)) > 0 }
		roosttest.WaitFor(t, "the first attempt to end", func() bool { return ended("certificate") || ended("no certificate from the ACME server") })
		if !ended("certificate") {
			server.Stop() // its next attempt is in two minutes
		}
		return ended("certificate")
	})
	if line := server.WaitLine("certificate"); line.Text("port") != "websocket" {
		t.Errorf("the log says %v", line)
	}
	config := &tls.Config{ServerName: "ws.example.com", RootCAs: pebble.Roots(t)}
	s := &stand{t: t, redis: redis, server: server}
	s.notified("alice", s.connect("alice", config))
	first, err := tls.Dial("tcp", server.WSS, config)
	if err != nil {
		t.Fatal(err)
	}
	leaf := first.ConnectionState().PeerCertificates[0]
	_ = first.Close()
	e2e.WaitDeep(t, server)
	if left := server.Metrics()[`roost_tls_certificate_expires_seconds{port="websocket"}`]; left < 80*24*3600 {
		t.Errorf("%v s are left of 90 days", left)
	}
	server.Stop()

	env["WS_TLS_ACME_DIRECTORY"] = "https://127.0.0.1:1/nobody"
	again := roosttest.Start(t, redis, env)
	again.WaitLine("certificate")
	second, err := tls.Dial("tcp", again.WSS, config)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if !second.ConnectionState().PeerCertificates[0].Equal(leaf) {
		t.Error("the second start has another certificate")
	}
}
