package roosttest

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"roost/redisfeed/redistest"
)

// Pebble is an ACME server for tests, Let's Encrypt's own, that believes each name to be this machine.
type Pebble struct {
	Directory string // its URL
	CAFile    string // who has signed the certificate of that URL, for SSL_CERT_FILE

	management string
	client     *http.Client
}

// buildPebble builds both programs from scripts/acme, a module of its own, which go does again only when something has changed.
func buildPebble(t testing.TB) (pebble, names string) {
	t.Helper()
	module, err := findModule()
	if err != nil {
		t.Fatalf("roosttest: %v", err)
	}
	dir := filepath.Join(module, "bin", "roosttest")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatalf("roosttest: %v", err)
	}
	unlock, err := lock(filepath.Join(dir, "lock"))
	if err != nil {
		t.Fatalf("roosttest: %v", err)
	}
	defer unlock()
	const from = "github.com/letsencrypt/pebble/v2/cmd/"
	command := exec.Command("go", "build", "-buildvcs=false", "-o", dir+"/", from+"pebble", from+"pebble-challtestsrv")
	command.Dir = filepath.Join(module, "scripts", "acme")
	if said, err := command.CombinedOutput(); err != nil {
		for _, unreachable := range []string{"dial tcp", "no such host", "module lookup disabled", "i/o timeout"} {
			if strings.Contains(string(said), unreachable) {
				t.Skipf("pebble can't be had: %s", said)
			}
		}
		t.Fatalf("roosttest: building pebble: %v\n%s", err, said)
	}
	return filepath.Join(dir, "pebble"), filepath.Join(dir, "pebble-challtestsrv")
}

// StartPebble starts one that checks names at a port of this machine, and whose certificates are good for so long.
func StartPebble(t testing.TB, tlsPort int, life time.Duration) *Pebble {
	t.Helper()
	program, names := buildPebble(t)
	authority := redistest.NewAuthority(t)
	shown := authority.Issue("127.0.0.1")
	dns, directory, management := FreeAddress(t), FreeAddress(t), FreeAddress(t)
	Run(t, Command{Program: names, Args: []string{"-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-dnsserver", dns,
		"-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "", "-management", FreeAddress(t)}})
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": directory, "managementListenAddress": management, "certificate": shown.File, "privateKey": shown.Key,
		"httpPort": 1, "tlsPort": tlsPort, "keyAlgorithm": "ecdsa",
		"profiles": map[string]any{"default": map[string]any{"description": "for tests", "validityPeriod": int(life.Seconds())}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "pebble.json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	Run(t, Command{Program: program, Args: []string{"-config", file, "-dnsserver", dns, "-strict"}, Env: Env{
		"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "5",
	}})
	p := &Pebble{
		Directory: "https://" + directory + "/dir", CAFile: authority.File, management: "https://" + management,
		client: &http.Client{Timeout: Limit / 2, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: authority.Roots()}}},
	}
	WaitFor(t, "pebble to answer", func() bool {
		response, err := p.client.Get(p.Directory)
		if err == nil {
			_ = response.Body.Close()
		}
		return err == nil
	})
	return p
}

// Client trusts the certificate of Directory, in a process that may have trusted another one: Go reads SSL_CERT_FILE once.
func (p *Pebble) Client() *http.Client { return &http.Client{Transport: p.client.Transport} }

// Roots trusts what the server signs.
func (p *Pebble) Roots(t testing.TB) *x509.CertPool {
	t.Helper()
	response, err := p.client.Get(p.management + "/roots/0")
	if err != nil {
		t.Fatalf("roosttest: %v", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("roosttest: %v", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		t.Fatalf("roosttest: pebble's root is %q", text)
	}
	return pool
}

// FreeAddress is an address of this machine whose port nobody has, and nobody gets from here before the test ends, for programs that can't
// take any free one.
func FreeAddress(t testing.TB) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", redistest.FreePort(t))
}
