package wss

import (
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// A certificate is replaced while clients connect, and none of them notices.
func TestRenewedUnderLoad(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	alice := s.connect("alice", s.config())
	var connected, renewed atomic.Int64
	stop := make(chan struct{})
	end := time.Now().Add(2 * time.Hour)
	next := s.authority.IssueUntil("localhost", end)
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				conn, err := tls.Dial("tcp", s.server.WSS, s.config())
				if err != nil {
					t.Errorf("while the certificate is replaced: %v", err)
					return
				}
				connected.Add(1)
				if conn.ConnectionState().PeerCertificates[0].NotAfter.After(end.Add(-time.Minute)) {
					renewed.Add(1)
				}
				_ = conn.Close()
			}
		})
	}
	roosttest.WaitFor(t, "clients", func() bool { return connected.Load() > 20 })
	if renewed.Load() != 0 {
		t.Error("the certificate is new already")
	}
	e2e.ReplaceFile(t, s.shown.File, next.File)
	s.server.Signal(syscall.SIGHUP) // the key is still the old one's
	s.server.WaitLine("the certificate is not renewed, the old one stays")
	e2e.ReplaceFile(t, s.shown.Key, next.Key)
	s.server.Signal(syscall.SIGHUP)
	s.server.WaitLine("the certificate is renewed")
	before := renewed.Load()
	roosttest.WaitFor(t, "clients that see the new certificate", func() bool { return renewed.Load() > before+20 })
	close(stop)
	clients.Wait()
	s.notified("alice", alice)
}

// Several certificates are chosen by name.
func TestSeveralNames(t *testing.T) {
	t.Parallel()
	authority := redistest.NewAuthority(t)
	one, two := authority.Issue("one.test"), authority.Issue("two.test")
	_, server := e2e.Start(t, roosttest.Env{"WS_TLS_CERT_FILE": one.File + ", " + two.File, "WS_TLS_KEY_FILE": one.Key + "," + two.Key, "WS_TLS_PORT": "0"})
	for asked, want := range map[string]string{"one.test": "one.test", "two.test": "two.test", "": "one.test", "three.test": "one.test"} {
		conn, err := tls.Dial("tcp", server.WSS, &tls.Config{ServerName: asked, InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		if got := conn.ConnectionState().PeerCertificates[0].DNSNames[0]; got != want {
			t.Errorf("%q is shown the certificate of %s, want %s", asked, got, want)
		}
		_ = conn.Close()
	}
}

// resumes connects, and reports whether a session was resumed.
func (s *stand) resumes(config *tls.Config) bool {
	s.t.Helper()
	conn, _, err := s.dial("alice", config)
	if err != nil {
		s.t.Fatal(err)
	}
	client := roosttest.Record(s.t, conn)
	client.Send(`{"type":"ping"}`)
	client.WaitMessages(1) // and with it the tickets
	state := conn.UnderlyingConn().(*tls.Conn).ConnectionState()
	client.Close()
	return state.DidResume
}

// With keys in a file clients resume at any instance, and after a restart; keys are rotated by a line in front.
func TestTicketsAreShared(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tickets")
	first, second := strings.Repeat("0a", 32), strings.Repeat("0b", 32)
	write := func(lines ...string) {
		if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(first)
	one := start(t, roosttest.Env{"WS_TLS_TICKET_KEY_FILE": file})
	two := &stand{t: t, redis: one.redis, authority: one.authority, shown: one.shown}
	two.server = roosttest.Start(t, one.redis, one.env(roosttest.Env{"WS_TLS_TICKET_KEY_FILE": file}))
	config := one.config()
	config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	if one.resumes(config) || !two.resumes(config) || !one.resumes(config) {
		t.Error("a session is not resumed at the other instance")
	}
	for _, s := range []*stand{one, two} {
		write(second, first)
		s.server.Signal(syscall.SIGHUP)
		roosttest.WaitFor(t, "new keys", func() bool { return len(s.server.Log.Find("keys of session tickets", "keys", 2.0)) > 0 })
	}
	if !two.resumes(config) || !one.resumes(config) {
		t.Error("a session of before is not resumed after a rotation")
	}
	write("nonsense")
	one.server.Signal(syscall.SIGHUP)
	if line := one.server.WaitLine("a file for TLS can't be used, what was in it before stays"); strings.Contains(line.Text("error"), "nonsense") || !strings.Contains(line.Text("error"), "line 1 is not 32 bytes") {
		t.Errorf("the log says %v", line)
	}
	if !one.resumes(config) {
		t.Error("a wrong file takes the keys away")
	}
	if n := one.server.Metrics()[`roost_tls_handshakes_total{resumed="true",suite="TLS_AES_128_GCM_SHA256",version="1.3"}`]; n < 3 {
		t.Errorf("%v resumed handshakes are counted", n)
	}
}

// A start with settings that can't work fails with one line, which names the variables.
func TestMistakes(t *testing.T) {
	t.Parallel()
	authority := redistest.NewAuthority(t)
	one, two := authority.Issue("one.test"), authority.Issue("two.test")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().String()[len("127.0.0.1:"):]
	for _, test := range []struct {
		but  roosttest.Env
		says []string
	}{
		{roosttest.Env{"WS_TLS_KEY_FILE": two.Key}, []string{"WS_TLS_CERT_FILE, WS_TLS_KEY_FILE: ", "is not that of the certificate"}},
		{roosttest.Env{"WS_TLS_CERT_FILE": one.File + "," + two.File}, []string{"WS_TLS_CERT_FILE names 2 files and WS_TLS_KEY_FILE 1"}},
		{roosttest.Env{"WS_TLS_PORT": port}, []string{"WS_TLS_HOST, WS_TLS_PORT: 127.0.0.1:" + port + " is in use"}},
		{roosttest.Env{"WS_TLS_TICKET_KEY_FILE": one.File}, []string{"WS_TLS_TICKET_KEY_FILE: ", "line 1 is not 32 bytes", "openssl rand -base64 32"}},
		{roosttest.Env{"WS_TLS_TICKET_KEY_FILE": "/nowhere"}, []string{"WS_TLS_TICKET_KEY_FILE: ", "/nowhere"}},
		{roosttest.Env{"WS_TLS_CLIENT_CA_FILE": one.Key}, []string{"WS_TLS_CLIENT_CA_FILE: ", "has no certificate in it"}},
		{roosttest.Env{"WS_TLS_CERT_FILE": "", "WS_TLS_KEY_FILE": "", "WS_TLS_ACME_DOMAIN": "ws.example.com", "WS_TLS_ACME_CACHE": one.File}, []string{"WS_TLS_ACME_CACHE: ", "name a directory that this user may write to"}},
	} {
		env := roosttest.ServerEnv(e2e.NoRedis{}, roosttest.Env{"WS_TLS_CERT_FILE": one.File, "WS_TLS_KEY_FILE": one.Key, "WS_TLS_PORT": "0"})
		for name, value := range test.but {
			env[name] = value
		}
		e2e.CheckRefusesToStart(t, env, test.says...)
	}
}
