package httpapi

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// certificate is one for 127.0.0.1, and the pool that trusts it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}

// With TLS the server speaks HTTPS alone, in HTTP/1.1, and knows which of its connections wait: they are ended at a stop.
func TestTLS(t *testing.T) {
	t.Parallel()
	shown, pool := certificate(t)
	addr, stop := running(t, Config{TLS: &tls.Config{Certificates: []tls.Certificate{shown}, NextProtos: []string{"h2"}}})
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}, Timeout: soon}
	defer client.CloseIdleConnections()
	resp, err := client.Get("https://" + addr + "/health")
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 200 || resp.ProtoMajor != 1 || !strings.Contains(text(t, resp.Body), "healthy") {
		t.Errorf("%s %s", resp.Proto, resp.Status)
	}
	closeAll(t, resp.Body)

	plain, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(t, plain)
	fmt.Fprint(plain, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
	answer, err := http.ReadResponse(bufio.NewReader(plain), nil)
	if err != nil {
		t.Fatal(err)
	}
	if body := text(t, answer.Body); answer.StatusCode != 400 || !strings.Contains(body, "HTTPS") {
		t.Errorf("plain HTTP is answered with %s %q", answer.Status, body)
	}

	waiting, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: pool})
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(t, waiting)
	fmt.Fprint(waiting, "GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET ") // and then nothing
	if _, err := http.ReadResponse(bufio.NewReader(waiting), nil); err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// Failed handshakes, which every scanner causes, do not fill the log.
func TestTLSHandshakesThatFail(t *testing.T) {
	t.Parallel()
	shown, _ := certificate(t)
	var mu sync.Mutex
	var log strings.Builder
	addr, stop := running(t, Config{
		TLS:    &tls.Config{Certificates: []tls.Certificate{shown}},
		Logger: slog.New(slog.NewTextHandler(lockedWriter{&mu, &log}, nil)),
	})
	for range 20 {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(conn, "\x16\x03\x01\x00\x04\x02\x00\x00\x00") // a ServerHello, from a client
		_, _ = bufio.NewReader(conn).ReadByte()                  // the alert, or the end
		closeAll(t, conn)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if n := strings.Count(log.String(), "a TLS handshake with the admin server failed"); n < 1 || n >= 20 {
		t.Errorf("%d lines for 20 handshakes:\n%s", n, log.String())
	}
}

type lockedWriter struct {
	mu *sync.Mutex
	b  *strings.Builder
}

func (w lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}
