package tlsrecord

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
	_ "unsafe" // for go:linkname
)

// crypto/tls has no option for the suites of TLS 1.3. These lists are kept reachable for
// others: see their comments in crypto/tls.
//
//go:linkname defaultCipherSuitesTLS13 crypto/tls.defaultCipherSuitesTLS13
var defaultCipherSuitesTLS13 []uint16

//go:linkname defaultCipherSuitesTLS13NoAES crypto/tls.defaultCipherSuitesTLS13NoAES
var defaultCipherSuitesTLS13NoAES []uint16

var allSuites = []Suite{aes128gcm, aes256gcm, chacha20poly}

// only makes crypto/tls offer and take one suite until the test is over.
func only(t testing.TB, s Suite) {
	a, b := defaultCipherSuitesTLS13, defaultCipherSuitesTLS13NoAES
	t.Cleanup(func() { defaultCipherSuitesTLS13, defaultCipherSuitesTLS13NoAES = a, b })
	defaultCipherSuitesTLS13 = []uint16{s.id()}
	defaultCipherSuitesTLS13NoAES = []uint16{s.id()}
}

// wait is a read that found nothing: crypto/tls goes on after it.
type wait struct{}

func (wait) Error() string   { return "nothing to read" }
func (wait) Timeout() bool   { return true }
func (wait) Temporary() bool { return true }

// wire is one direction in memory. Reads wait until polled is set, and say wait afterwards.
type wire struct {
	mu     sync.Mutex
	more   sync.Cond
	b      []byte
	polled bool
}

func (w *wire) read(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.b) == 0 {
		if w.polled {
			return 0, wait{}
		}
		w.more.Wait()
	}
	n := copy(p, w.b)
	w.b = w.b[n:]
	return n, nil
}

func (w *wire) write(p []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.b = append(w.b, p...)
	w.more.Signal()
}

// take returns what was written and not read.
func (w *wire) take() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.b
	w.b = nil
	return b
}

// end is the net.Conn of one side.
type end struct {
	net.Conn // nil: what is missing panics
	in, out  *wire
}

func (e *end) Read(p []byte) (int, error)       { return e.in.read(p) }
func (e *end) Write(p []byte) (int, error)      { e.out.write(p); return len(p), nil }
func (e *end) Close() error                     { return nil }
func (e *end) SetDeadline(time.Time) error      { return nil }
func (e *end) SetWriteDeadline(time.Time) error { return nil }

// pair is one connection after a handshake of crypto/tls with itself.
type pair struct {
	client, server     *tls.Conn
	toServer, toClient *wire
	suite              uint16
	secrets            map[string][]byte // by their names in a key log
}

var testCertificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"roost.test"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

type keyLog map[string][]byte

func (k keyLog) Write(line []byte) (int, error) {
	fields := strings.Fields(string(line))
	k[fields[0]], _ = hex.DecodeString(fields[2])
	return len(line), nil
}

func newPair(t testing.TB, s Suite) *pair {
	t.Helper()
	only(t, s)
	log := keyLog{}
	up, down := new(wire), new(wire)
	up.more.L, down.more.L = &up.mu, &down.mu
	p := &pair{toServer: up, toClient: down, secrets: log}
	p.client = tls.Client(&end{in: down, out: up}, &tls.Config{InsecureSkipVerify: true, DynamicRecordSizingDisabled: true})
	p.server = tls.Server(&end{in: up, out: down}, &tls.Config{
		Certificates: []tls.Certificate{testCertificate()}, KeyLogWriter: log,
		SessionTicketsDisabled: true, DynamicRecordSizingDisabled: true,
	})
	failed := make(chan error, 1)
	go func() { failed <- p.server.Handshake() }()
	if err := errors.Join(p.client.Handshake(), <-failed); err != nil {
		t.Fatal(err)
	}
	up.polled, down.polled = true, true
	p.suite = p.client.ConnectionState().CipherSuite
	if p.suite != s.id() {
		t.Fatalf("negotiated %#x, not %v", p.suite, s)
	}
	return p
}

// asServer and asClient put a Conn in the place of crypto/tls.
func (p *pair) asServer(t testing.TB) *Conn {
	return newConn(t, p.suite, p.secrets["CLIENT_TRAFFIC_SECRET_0"], p.secrets["SERVER_TRAFFIC_SECRET_0"])
}

func (p *pair) asClient(t testing.TB) *Conn {
	return newConn(t, p.suite, p.secrets["SERVER_TRAFFIC_SECRET_0"], p.secrets["CLIENT_TRAFFIC_SECRET_0"])
}

func newConn(t testing.TB, suite uint16, read, write []byte) *Conn {
	t.Helper()
	c, err := New(suite, read, write)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// twins are two Conns that talk to each other.
func twins(t testing.TB, s Suite) (a, b *Conn) {
	one, two := make([]byte, s.secretLen()), make([]byte, s.secretLen())
	_, _ = rand.Read(one)
	_, _ = rand.Read(two)
	return newConn(t, s.id(), one, two), newConn(t, s.id(), two, one)
}

func seal(t testing.TB, c *Conn, b []byte, cache *Cache) []byte {
	t.Helper()
	sealed, err := c.Seal(nil, b, cache)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// readFull reads n bytes from crypto/tls.
func readFull(t testing.TB, c *tls.Conn, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(c, b); err != nil {
		t.Fatalf("crypto/tls after %v: %v", n, err)
	}
	return b
}
