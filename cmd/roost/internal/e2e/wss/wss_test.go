// Package wss has the end-to-end tests of the port for wss://.
package wss

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// stand is a server with a certificate for localhost, and who trusts it.
type stand struct {
	t         *testing.T
	redis     *redistest.Server
	server    *roosttest.Server
	authority *redistest.Authority
	shown     redistest.Certificate
}

// start starts one with env in addition to its own settings.
func start(t *testing.T, env roosttest.Env) *stand {
	t.Helper()
	s := &stand{t: t, redis: redistest.Start(t), authority: redistest.NewAuthority(t)}
	s.shown = s.authority.Issue("localhost")
	s.server = roosttest.Start(t, s.redis, s.env(env))
	return s
}

// env are the settings of a server with the stand's certificate.
func (s *stand) env(more roosttest.Env) roosttest.Env {
	all := roosttest.Env{"WS_TLS_CERT_FILE": s.shown.File, "WS_TLS_KEY_FILE": s.shown.Key, "WS_TLS_PORT": "0"}
	for name, value := range more {
		all[name] = value
	}
	return all
}

// config is a client's that trusts the stand.
func (s *stand) config() *tls.Config {
	return &tls.Config{RootCAs: s.authority.Roots(), ServerName: "localhost"}
}

// url is where a user connects.
func (s *stand) url(user string) string {
	return "wss://" + s.server.WSS + "/ws?token=" + roosttest.Token(s.t, user)
}

// dial opens a WebSocket.
func (s *stand) dial(user string, config *tls.Config) (*websocket.Conn, *http.Response, error) {
	dialer := websocket.Dialer{HandshakeTimeout: roosttest.Limit, TLSClientConfig: config}
	return dialer.Dial(s.url(user), nil)
}

// connect opens one that has to work.
func (s *stand) connect(user string, config *tls.Config) *roosttest.Client {
	s.t.Helper()
	conn, _, err := s.dial(user, config)
	if err != nil {
		s.t.Fatalf("%s: %v", user, err)
	}
	return roosttest.Record(s.t, conn)
}

// notified publishes for a user, and waits until the client has it.
func (s *stand) notified(user string, client *roosttest.Client) {
	s.t.Helper()
	e2e.Notify(s.redis, user, `{"type":"n","payload":"`+strings.Repeat("x", 20000)+`"}`)
	if got := client.WaitMessages(1); !strings.HasPrefix(got[0], `{"type":"n","payload":"xxx`) || len(got[0]) < 20000 {
		s.t.Errorf("%s got %.40q, %d bytes", user, got, len(got[0]))
	}
}

// Everybody gets their own, whichever port they came by, and is told when the server goes.
func TestBothPorts(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	old := s.config()
	old.MaxVersion = tls.VersionTLS12
	alice, bob, carol := s.server.Connect("alice"), s.connect("bob", s.config()), s.connect("carol", old)
	s.notified("alice", alice)
	s.notified("bob", bob)
	s.notified("carol", carol)
	bob.Send(`{"type":"ping"}`)
	if got := bob.WaitMessages(2); got[1] != `{"type":"pong"}` {
		t.Errorf("a ping is answered %q", got[1])
	}

	m := s.server.Metrics()
	for name, want := range map[string]float64{
		`roost_connections`:                    3,
		`roost_tls_connections{version="1.3"}`: 1, `roost_tls_connections{version="1.2"}`: 1,
		`roost_tls_handshakes_total{resumed="false",suite="TLS_AES_128_GCM_SHA256",version="1.3"}`: 1,
		`roost_tls_handshake_duration_seconds_count`:                                               2,
	} {
		if m[name] != want {
			t.Errorf("%s is %v, want %v", name, m[name], want)
		}
	}
	if left := m[`roost_tls_certificate_expires_seconds{port="websocket"}`]; left < 3000 || left > 3600 {
		t.Errorf("%v s are left of an hour", left)
	}

	s.server.Stop()
	for user, client := range map[string]*roosttest.Client{"alice": alice, "bob": bob, "carol": carol} {
		if code, _ := client.WaitClose(); code != websocket.CloseGoingAway {
			t.Errorf("%s was told %d", user, code)
		}
	}
}

// Plain HTTP on the TLS port, and TLS on the plain one, end with an explanation or at once, and the server goes on.
func TestWrongPort(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	plain, err := net.Dial("tcp", s.server.WSS)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	fmt.Fprint(plain, roosttest.Head(roosttest.Token(t, "alice")))
	response, err := http.ReadResponse(bufio.NewReader(plain), nil)
	if err != nil {
		t.Fatal(err)
	}
	var body strings.Builder
	_ = response.Write(&body)
	if response.StatusCode != http.StatusBadRequest || !strings.Contains(body.String(), "https://") {
		t.Errorf("plain HTTP on the TLS port is answered %s", body.String())
	}
	if _, err := tls.Dial("tcp", s.server.WS, s.config()); err == nil {
		t.Error("TLS works on the plain port")
	}
	if _, err := tls.Dial("tcp", s.server.WSS, &tls.Config{RootCAs: s.authority.Roots(), ServerName: "other.test"}); err == nil {
		t.Error("the certificate is for other.test")
	}
	// Refusals are as on the plain port.
	_, response, err = (&websocket.Dialer{TLSClientConfig: s.config()}).Dial("wss://"+s.server.WSS+"/ws?token=x", nil)
	if err == nil || response == nil || response.StatusCode != http.StatusUnauthorized {
		t.Errorf("a bad token is answered %v, %v", response, err)
	}
	s.notified("bob", s.connect("bob", s.config()))
}

func TestOldestVersion(t *testing.T) {
	t.Parallel()
	s := start(t, roosttest.Env{"WS_TLS_MIN_VERSION": "1.3"})
	old := s.config()
	old.MaxVersion = tls.VersionTLS12
	if _, _, err := s.dial("alice", old); err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("TLS 1.2: %v", err)
	}
	s.notified("bob", s.connect("bob", s.config()))
}

// Without the plain port the server's own checks, and the commands, take the other one; with client certificates too.
func TestTLSAlone(t *testing.T) {
	t.Parallel()
	clients := redistest.NewAuthority(t)
	s := start(t, roosttest.Env{"WS_PLAIN": "false", "WS_TLS_CLIENT_CA_FILE": clients.File})
	if s.server.WS != "" {
		t.Errorf("it listens on %s", s.server.WS)
	}
	e2e.WaitDeep(t, s.server)
	if _, _, err := s.dial("alice", s.config()); err == nil {
		t.Error("a client without a certificate is let in")
	}
	for name, authority := range map[string]*redistest.Authority{"stranger": s.authority, "known": clients} {
		made := authority.Issue(name)
		pair, err := tls.LoadX509KeyPair(made.File, made.Key)
		if err != nil {
			t.Fatal(err)
		}
		config := s.config()
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
		conn, _, err := s.dial("alice", config)
		if (err == nil) != (name == "known") {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			s.notified("alice", roosttest.Record(t, conn))
		}
	}
}

// roost listen finds the port for wss://, and knows the server by its file.
func TestListenOverTLS(t *testing.T) {
	t.Parallel()
	s := start(t, roosttest.Env{"WS_PLAIN": "false"})
	port := s.server.WSS[strings.LastIndex(s.server.WSS, ":")+1:]
	env := roosttest.ServerEnv(s.redis, s.env(roosttest.Env{"WS_PLAIN": "false", "WS_TLS_PORT": port}))
	for _, args := range [][]string{{"listen", "alice"}, {"listen", "alice", "--ca-file", s.authority.File, "--url", "wss://localhost:" + port}} {
		process := roosttest.Run(t, roosttest.Command{Args: args, Env: env})
		roosttest.WaitFor(t, "a connection", func() bool { return strings.Contains(process.Stderr.String(), "connected") })
		e2e.Notify(s.redis, "alice", e2e.Numbered(1))
		roosttest.WaitFor(t, "the notification", func() bool { return strings.Contains(process.Log.String(), `"payload":1`) })
	}
	stranger := roosttest.Run(t, roosttest.Command{Args: []string{"listen", "alice", "--url", "wss://localhost:" + port}, Env: env})
	if code := stranger.Wait(); code != 1 || !strings.Contains(stranger.Stderr.String(), "is not trusted: no authority that this system trusts has signed it") {
		t.Errorf("without --ca-file it ends with %d, saying %s", code, stranger.Stderr.String())
	}
}
