package tlscert

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var now = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// authority is one that signs, the root or an intermediate.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func newKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

var serial int64

// sign makes a certificate; by == nil signs itself.
func sign(t *testing.T, by *authority, key crypto.Signer, name string, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	serial++
	c := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-30 * 24 * time.Hour), NotAfter: now.Add(60 * 24 * time.Hour),
	}
	if change != nil {
		change(c)
	}
	parent, signer := c, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	c, err = x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func ca(c *x509.Certificate) {
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	c.NotAfter = now.Add(5000 * 24 * time.Hour)
}

func forNames(names ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.DNSNames = names }
}

func pemOf(t *testing.T, what ...any) string {
	t.Helper()
	var b strings.Builder
	for _, w := range what {
		switch w := w.(type) {
		case *x509.Certificate:
			_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: w.Raw})
		case crypto.Signer:
			der, err := x509.MarshalPKCS8PrivateKey(w)
			if err != nil {
				t.Fatal(err)
			}
			_ = pem.Encode(&b, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
		}
	}
	return b.String()
}

// files writes a certificate file and a key file.
func files(t *testing.T, cert, key string) Pair {
	t.Helper()
	dir := t.TempDir()
	p := Pair{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	write(t, p, cert, key)
	return p
}

func write(t *testing.T, p Pair, cert, key string) {
	t.Helper()
	for file, text := range map[string]string{p.Cert: cert, p.Key: key} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// world is a root, an intermediate, and a key for a server.
func world(t *testing.T) (root, middle *authority, key crypto.Signer, roots *x509.CertPool) {
	t.Helper()
	root = &authority{key: newKey(t)}
	root.cert = sign(t, nil, root.key, "Root", ca)
	middle = &authority{key: newKey(t)}
	middle.cert = sign(t, root, middle.key, "Middle", ca)
	roots = x509.NewCertPool()
	roots.AddCert(root.cert)
	return root, middle, newKey(t), roots
}

func TestPairs(t *testing.T) {
	for _, test := range []struct{ certs, keys, want string }{
		{"", " , ", "[]"},
		{"a.pem", "b.pem", "[{a.pem b.pem}]"},
		{"a.pem, c.pem,", "b.pem,d.pem", "[{a.pem b.pem} {c.pem d.pem}]"},
		{"a.pem,c.pem", "b.pem", "WS_TLS_CERT_FILE names 2 files and WS_TLS_KEY_FILE 1: each certificate needs the file of its key, in the same order"},
		{"", "b.pem", "WS_TLS_CERT_FILE names 0 files and WS_TLS_KEY_FILE 1: each certificate needs the file of its key, in the same order"},
	} {
		pairs, err := Pairs("WS_TLS_CERT_FILE", test.certs, "WS_TLS_KEY_FILE", test.keys)
		got := fmt.Sprint(pairs)
		if err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%q, %q: %s, want %s", test.certs, test.keys, got, test.want)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	root, middle, key, _ := world(t)
	leaf := sign(t, middle, key, "x", forNames("ws.test"))
	good, goodKey := pemOf(t, leaf, middle.cert), pemOf(t, key)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, cert, key, want string }{
		{"good", good, goodKey, ""},
		{"with the root", good + pemOf(t, root.cert), goodKey, ""},
		{"with a byte order mark", "\ufeff" + good, goodKey, ""},
		{"one file for both", good + goodKey, good + goodKey, ""},
		{"another key", good, pemOf(t, newKey(t)), "is not that of the certificate"},
		{"a key of another type", good, pemOf(t, rsaKey), "is not that of the certificate"},
		{"exchanged", goodKey, good, "has no certificate but PRIVATE KEY: are the two files exchanged?"},
		{"two certificates", good, good, "are the two files exchanged?"},
		{"empty", "\n", goodKey, "is empty"},
		{"not PEM", "0\x82\x01", goodKey, "is not PEM"},
		{"an encrypted key", good, "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", "has a passphrase"},
		{"an old encrypted key", good, "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END EC PRIVATE KEY-----\n", "has a passphrase"},
		{"a broken certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", goodKey, "x509"},
		{"the chain the wrong way round", pemOf(t, leaf, root.cert, middle.cert), goodKey, "did not sign certificate 1"},
		{"the chain of another", pemOf(t, leaf, sign(t, nil, newKey(t), "Other", ca)), goodKey, "certificate 2 (CN=Other) did not sign certificate 1 (CN=x)"},
		{"the authority first", pemOf(t, middle.cert, leaf), pemOf(t, middle.key), "begins with the certificate of an authority"},
	} {
		s, err := Load([]Pair{files(t, test.cert, test.key)})
		switch {
		case test.want == "" && (err != nil || len(s.Certificates) != 1 || s.Certificates[0].Leaf == nil || s.Names()[0] != "ws.test"):
			t.Errorf("%s: %v", test.name, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
	if _, err := Load([]Pair{{Cert: "/nowhere/cert.pem", Key: "/nowhere/key.pem"}}); err == nil || !strings.Contains(err.Error(), "/nowhere/cert.pem") {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := Load(nil); err == nil {
		t.Error("nothing is loaded without an error")
	}
}

func TestProblems(t *testing.T) {
	_, middle, key, roots := world(t)
	self := sign(t, nil, key, "x", forNames("ws.test"))
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	leaf := func(change func(*x509.Certificate)) string {
		return pemOf(t, sign(t, middle, key, "x", func(c *x509.Certificate) {
			c.DNSNames = []string{"ws.test", "*.wild.test"}
			if change != nil {
				change(c)
			}
		}), middle.cert)
	}
	for _, test := range []struct {
		name, cert string
		key        crypto.Signer
		names      []string
		want       string // empty: nothing is wrong
		fatal      bool
	}{
		{"good", leaf(nil), key, []string{"ws.test", "a.wild.test"}, "", false},
		{"another name", leaf(nil), key, []string{"wss.test"}, "no certificate is for wss.test, but for ws.test, *.wild.test", true},
		{"expired", leaf(func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Hour) }), key, nil, "it expired on 2026-11-29", true},
		{"expires soon", leaf(func(c *x509.Certificate) { c.NotAfter = now.Add(5*24*time.Hour + time.Hour) }), key, nil, "it expires on 2026-12-04, in 5 days", false},
		{"not yet", leaf(func(c *x509.Certificate) { c.NotBefore = now.Add(time.Hour) }), key, nil, "is valid from 2026-11-29T13:00:00Z on only: is the clock right?", true},
		{"for six days", leaf(func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = now.Add(-3*24*time.Hour), now.Add(3*24*time.Hour)
		}), key, nil, "", false},
		{"for six days, of which one is left", leaf(func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = now.Add(-5*24*time.Hour), now.Add(24*time.Hour)
		}), key, nil, "it expires on 2026-11-30T12:00:00Z", false},
		{"of an authority of one's own", pemOf(t, sign(t, middle, key, "x", forNames("ws.test"))), key, nil, `this host does not trust "Middle", which signed it`, false},
		{"no chain", pemOf(t, sign(t, middle, key, "x", func(c *x509.Certificate) {
			c.DNSNames, c.IssuingCertificateURL = []string{"ws.test"}, []string{"http://ca.test/middle.crt"}
		})), key, nil, `the chain is incomplete: the file has the certificate alone, and not that of "Middle"`, true},
		{"signed by itself", pemOf(t, self), key, nil, "signed by itself", false},
		{"no name", leaf(func(c *x509.Certificate) { c.DNSNames = nil }), key, nil, `it is for no name: clients go by the alternative names (subjectAltName) and ignore "x"`, true},
		{"for clients", leaf(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }), key, nil, "it is not for servers", true},
		{"RSA", pemOf(t, sign(t, middle, rsaKey, "x", forNames("ws.test")), middle.cert), rsaKey, nil, "its key is RSA with 2048 bits: a core makes about ", false},
	} {
		s, err := Load([]Pair{files(t, test.cert, pemOf(t, test.key))})
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		problems := s.Problems(now, test.names, roots)
		if test.want == "" {
			if len(problems) > 0 {
				t.Errorf("%s: %v", test.name, problems)
			}
			continue
		}
		if len(problems) == 0 || !strings.Contains(problems[0].String(), test.want) || problems[0].Fatal != test.fatal || !strings.HasPrefix(problems[0].String(), s.Pairs[0].Cert) {
			t.Errorf("%s: %v, want %q, fatal %v", test.name, problems, test.want, test.fatal)
		}
	}
	// An authority of one's own, with the whole chain, is only said.
	s, err := Load([]Pair{files(t, leaf(nil), pemOf(t, key))})
	if err != nil {
		t.Fatal(err)
	}
	if p := s.Problems(now, nil, x509.NewCertPool()); len(p) != 1 || p[0].Fatal || !strings.Contains(p[0].Text, "does not trust") {
		t.Errorf("%v", p)
	}
	if p := s.Problems(now, nil, nil); len(p) != 0 {
		t.Errorf("%v", p)
	}
}

// Of a chain the first part that expires counts.
func TestExpires(t *testing.T) {
	root, _, key, _ := world(t)
	middle := &authority{key: newKey(t)}
	middle.cert = sign(t, root, middle.key, "Middle", func(c *x509.Certificate) { ca(c); c.NotAfter = now.Add(24 * time.Hour) })
	s, err := Load([]Pair{files(t, pemOf(t, sign(t, middle, key, "x", forNames("ws.test")), middle.cert), pemOf(t, key))})
	if err != nil || !s.Expires().Equal(now.Add(24*time.Hour)) {
		t.Errorf("expires %v, %v", s.Expires(), err)
	}
	if p := s.Problems(now, nil, nil); len(p) != 1 || !strings.Contains(p[0].Text, "certificate 2 of its chain expires") {
		t.Errorf("%v", p)
	}
}

func TestReload(t *testing.T) {
	key, other := newKey(t), newKey(t)
	certificate := func(key crypto.Signer, name string, notAfter time.Time) string {
		return pemOf(t, sign(t, nil, key, "x", func(c *x509.Certificate) { c.DNSNames, c.NotAfter = []string{name}, notAfter }))
	}
	valid := now.Add(60 * 24 * time.Hour)
	p := files(t, certificate(key, "one.test", valid), pemOf(t, key))
	r, err := NewReloader([]Pair{p})
	if err != nil {
		t.Fatal(err)
	}
	step := func(what string, wantChanged bool, wantName, wantErr string) {
		t.Helper()
		changed, err := r.Reload(now)
		if changed != wantChanged || r.Set().Names()[0] != wantName || (err == nil) != (wantErr == "") || err != nil && !strings.Contains(err.Error(), wantErr) || r.Err() != err {
			t.Errorf("%s: changed %v, %v serves %v", what, changed, err, r.Set().Names())
		}
	}
	step("the same files", false, "one.test", "")
	renewed := certificate(key, "two.test", valid)
	write(t, p, renewed, pemOf(t, key))
	step("a new certificate", true, "two.test", "")
	step("the same again", false, "two.test", "")
	write(t, p, certificate(other, "three.test", valid), pemOf(t, key))
	step("a new certificate without its key", false, "two.test", "is not that of the certificate")
	step("still", false, "two.test", "is not that of the certificate")
	write(t, p, certificate(other, "three.test", valid), pemOf(t, other))
	step("with its key", true, "three.test", "")
	write(t, p, certificate(other, "four.test", now.Add(-time.Hour)), pemOf(t, other))
	step("an expired one", false, "three.test", "expired on 2026-11-29")
	if err := os.Remove(p.Key); err != nil {
		t.Fatal(err)
	}
	step("the key is not there", false, "three.test", "key.pem")
	if _, err := NewReloader([]Pair{p}); err == nil {
		t.Error("begins without a key")
	}
}

func TestTicketKeys(t *testing.T) {
	hex, base64 := strings.Repeat("0a", 32), strings.Repeat("A", 43)+"="
	keys, err := TicketKeys("# newest first\n" + hex + " # today\n\n" + base64 + "\n")
	if err != nil || len(keys) != 2 || keys[0][31] != 10 || keys[1] != [32]byte{} {
		t.Errorf("%v, %v", keys, err)
	}
	for text, want := range map[string]string{
		"":                     "there is no key",
		"# nothing":            "there is no key",
		hex + "\nsecret-text":  "line 2 is not 32 bytes",
		hex[:62]:               "line 1 is not 32 bytes",
		hex + "\n" + hex + "0": "line 2 is not 32 bytes",
	} {
		_, err := TicketKeys(text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "0a0a") {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
