package redistest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Authority signs certificates for a test. Its files are gone when the test ends.
type Authority struct {
	File string // its own certificate, in PEM

	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

// Certificate is a certificate and its key, in PEM files.
type Certificate struct{ File, Key string }

// NewAuthority makes an authority that nobody trusts yet.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{t: t, pool: x509.NewCertPool()}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "redistest authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage:  x509.KeyUsageCertSign,
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	var made Certificate
	made, a.cert, a.key = a.sign(template)
	a.File = made.File
	a.pool.AddCert(a.cert)
	return a
}

// Roots is a pool with the authority alone.
func (a *Authority) Roots() *x509.CertPool { return a.pool }

// Issue makes a certificate for a host, a name or an IP address, that server and client can show.
func (a *Authority) Issue(host string) Certificate {
	a.t.Helper()
	return a.IssueUntil(host, time.Now().Add(time.Hour))
}

// IssueUntil is Issue with the end of the certificate's time, which may have passed.
func (a *Authority) IssueUntil(host string, end time.Time) Certificate {
	a.t.Helper()
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: host},
		KeyUsage:  x509.KeyUsageDigitalSignature,
		NotBefore: end.Add(-24 * time.Hour), NotAfter: end,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	made, _, _ := a.sign(template)
	return made
}

// sign makes a key and signs for it, with itself where the authority has no key yet.
func (a *Authority) sign(template *x509.Certificate) (Certificate, *x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatalf("redistest: %v", err)
	}
	parent, parentKey := a.cert, a.key
	if parent == nil {
		parent, parentKey = template, key
	}
	template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		a.t.Fatalf("redistest: %v", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		a.t.Fatalf("redistest: %v", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatalf("redistest: %v", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatalf("redistest: %v", err)
	}
	dir := a.t.TempDir()
	made := Certificate{File: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	a.write(made.File, "CERTIFICATE", der)
	a.write(made.Key, "PRIVATE KEY", keyDER)
	return made, cert, key
}

func (a *Authority) write(path, kind string, der []byte) {
	a.t.Helper()
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(path, text, 0o600); err != nil {
		a.t.Fatalf("redistest: %v", err)
	}
}

// TLS says how a server speaks TLS.
type TLS struct {
	Authority *Authority  // whose clients are let in, and who is told to know this server
	Shown     Certificate // to clients
	Clients   bool        // have to show a certificate of the authority
}

// args are the arguments for redis-server.
func (c *TLS) args() []string {
	clients := "no"
	if c.Clients {
		clients = "yes"
	}
	return []string{
		"--tls-cert-file", c.Shown.File, "--tls-key-file", c.Shown.Key,
		"--tls-ca-cert-file", c.Authority.File, "--tls-auth-clients", clients, "--tls-replication", "yes",
	}
}

// client is how the tests' own clients connect: they believe anything, and show what the server shows.
func (c *TLS) client() (*tls.Config, error) {
	own, err := tls.LoadX509KeyPair(c.Shown.File, c.Shown.Key)
	return &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{own}}, err
}
