package netpoll

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"roost/wsproto/auth"
	"roost/wsproto/handshake"
)

// overTLS reports whether a test is run over TLS, as a part of TestOverTLS, and with which version.
func overTLS(t testing.TB) bool { return strings.HasPrefix(t.Name(), "TestOverTLS/") }

func versionOf(t testing.TB) uint16 {
	if strings.HasPrefix(t.Name(), "TestOverTLS/1.2/") {
		return tls.VersionTLS12
	}
	return tls.VersionTLS13
}

// secured puts TLS on a connection where the test is run over it.
func secured(t testing.TB, conn net.Conn) net.Conn {
	if !overTLS(t) {
		return conn
	}
	return tls.Client(conn, &tls.Config{InsecureSkipVerify: true, MaxVersion: versionOf(t)})
}

// tcpOf is the socket under a client's connection.
func tcpOf(conn net.Conn) *net.TCPConn {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	return conn.(*net.TCPConn)
}

// testCertificate is one for all tests: making one takes milliseconds.
var testCertificate = sync.OnceValue(func() tls.Certificate { return newCertificate("roost.invalid") })

func newCertificate(name string) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// testTLS makes the TLS of a server.
func testTLS(t testing.TB, o TLSOptions) *TLS {
	t.Helper()
	if o.Certificates == nil {
		o.Certificates = []tls.Certificate{testCertificate()}
	}
	server, err := NewTLS(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Light(); err != nil {
		t.Fatal(err)
	}
	return server
}

// pendingHeavies is what crypto/tls holds for the pending handshakes of the only loop: that counts too.
func (r *rig) pendingHeavies() int {
	sum := make(chan int)
	r.server.loops[0].do(func() {
		n := 0
		for fd := range int32(1 << 15) {
			if c, h := r.server.conns.Get(fd), r.server.heavies.Get(fd); c != nil && h != nil && c.extra != nil && c.extra.hs != nil {
				n += h.Held()
			}
		}
		sum <- n
	})
	return <-sum
}

// trustingUpgrader trusts this machine as a proxy.
func trustingUpgrader(t testing.TB) *handshake.Upgrader {
	return newUpgrader(t, auth.Config{}, handshake.Config{TrustedProxies: []string{"127.0.0.0/8"}})
}
