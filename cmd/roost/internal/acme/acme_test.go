package acme

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/acme"

	"roost/cmd/roost/internal/roosttest"
)

// port is a TLS port that shows what the manager gives it.
type port struct {
	listener net.Listener
	shown    atomic.Pointer[[]tls.Certificate]
}

func (p *port) use(all []tls.Certificate) { p.shown.Store(&all) }

// open opens a port that asks get first, until the test ends.
func open(t *testing.T, get func(*tls.ClientHelloInfo) (*tls.Certificate, error)) *port {
	t.Helper()
	p := new(port)
	var err error
	p.listener, err = tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		NextProtos: []string{"http/1.1", acme.ALPNProto},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if c, err := get(hello); c != nil || err != nil {
				return c, err
			}
			if all := p.shown.Load(); all != nil && len(*all) > 0 {
				return &(*all)[0], nil
			}
			return nil, errors.New("no certificate yet")
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.listener.Close() })
	go func() {
		for {
			conn, err := p.listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_ = conn.(*tls.Conn).Handshake()
				_, _ = io.Copy(io.Discard, conn)
			}()
		}
	}()
	return p
}

// start runs a manager until the test ends. client asks the ACME server; nil is the one of the service.
func start(t *testing.T, cfg Config, client *http.Client) *Manager {
	t.Helper()
	cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	m.auto.Client.HTTPClient = client
	ctx, cancel := context.WithCancel(context.Background())
	var ran sync.WaitGroup
	t.Cleanup(func() { cancel(); ran.Wait() })
	ran.Go(func() { m.Run(ctx) })
	return m
}

// loaded waits until a manager has asked for everything once.
func loaded(t *testing.T, m *Manager) {
	t.Helper()
	select {
	case <-m.Loaded():
	case <-time.After(roosttest.Limit):
		t.Fatal("nothing comes")
	}
}

// A certificate comes from a real ACME server by a challenge on the port itself; a second start has it from the cache.
func TestCertificateFromPebble(t *testing.T) {
	if testing.Short() {
		t.Skip("builds pebble")
	}
	const domain = "ws.example.com"
	var m *Manager
	var starting sync.Mutex // held until m is there
	p := open(t, func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		starting.Lock()
		defer starting.Unlock()
		return m.GetCertificate(hello)
	})
	pebble := roosttest.StartPebble(t, p.listener.Addr().(*net.TCPAddr).Port, 90*24*time.Hour)
	cache := filepath.Join(t.TempDir(), "cache")
	roosttest.WaitFor(t, "pebble to look at the port in its own time, which a busy machine may not let it do", func() bool {
		starting.Lock()
		m = start(t, Config{Domains: []string{domain}, Email: "ops@example.com", Directory: pebble.Directory, Cache: cache, Use: p.use}, pebble.Client())
		starting.Unlock()
		loaded(t, m)
		renewed, failed := m.Counts()
		if renewed+failed != 1 {
			t.Fatalf("%d certificates came, %d attempts failed", renewed, failed)
		}
		return renewed == 1
	})
	conn, err := tls.Dial("tcp", p.listener.Addr().String(), &tls.Config{ServerName: domain, RootCAs: pebble.Roots(t)})
	if err != nil {
		t.Fatal(err)
	}
	leaf := conn.ConnectionState().PeerCertificates[0]
	_ = conn.Close()
	if info, err := os.Stat(cache); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the cache is %v, %v", info, err)
	}

	var again atomic.Pointer[[]tls.Certificate]
	second := start(t, Config{Domains: []string{domain}, Directory: "https://127.0.0.1:1/nobody", Cache: cache, Use: func(all []tls.Certificate) { again.Store(&all) }}, nil)
	loaded(t, second)
	if all := again.Load(); all == nil || !(*all)[0].Leaf.Equal(leaf) {
		t.Error("the second start has another certificate than the cache")
	}
}

// Challenges are for the domains alone, and other handshakes are not the manager's.
func TestWhatIsAnswered(t *testing.T) {
	t.Parallel()
	m, err := New(Config{Domains: []string{"ws.example.com"}, Cache: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		protos []string
		fails  bool
	}{
		{"ws.example.com", nil, false},
		{"ws.example.com", []string{"http/1.1"}, false},
		{"ws.example.com", []string{"http/1.1", acme.ALPNProto}, false},
		{"ws.example.com", []string{acme.ALPNProto}, true}, // none is under way
		{"other.example.com", []string{acme.ALPNProto}, true},
		{"", []string{acme.ALPNProto}, true},
	} {
		c, err := m.GetCertificate(&tls.ClientHelloInfo{ServerName: test.name, SupportedProtos: test.protos})
		if c != nil || (err != nil) != test.fails {
			t.Errorf("%q %q: %v, %v", test.name, test.protos, c, err)
		}
	}
}

// An authority that can't be reached is an error in the log and a count, and nothing waits for it.
func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	m := start(t, Config{Domains: []string{"ws.example.com"}, Directory: "https://127.0.0.1:1/dir", Cache: t.TempDir(), Use: func([]tls.Certificate) { t.Error("a certificate from nobody") }}, nil)
	loaded(t, m)
	if renewed, failed := m.Counts(); renewed != 0 || failed != 1 {
		t.Errorf("%d certificates came, %d attempts failed", renewed, failed)
	}
}

func TestCache(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{Cache: file}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a file as the directory: %v", err)
	}
	t.Setenv("STATE_DIRECTORY", "/var/lib/roost:/other")
	if dir, err := CacheDir(""); err != nil || dir != "/var/lib/roost/acme" {
		t.Errorf("with StateDirectory=: %s, %v", dir, err)
	}
	if dir, _ := CacheDir("/here"); dir != "/here" {
		t.Errorf("named: %s", dir)
	}
	t.Setenv("STATE_DIRECTORY", "")
	t.Setenv("XDG_CACHE_HOME", "/cache")
	if dir, err := CacheDir(""); err != nil || dir != "/cache/roost-acme" {
		t.Errorf("of the user: %s, %v", dir, err)
	}
}
