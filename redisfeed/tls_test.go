package redisfeed

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"sync"
	"testing"

	"roost/redisfeed/redistest"
)

// secured puts TLS in front of a server. The certificate is for 127.0.0.1.
func secured(t *testing.T, server *redistest.Server) (addr string, roots *x509.CertPool) {
	t.Helper()
	certs := httptest.NewTLSServer(nil)
	certs.Close()
	roots = x509.NewCertPool()
	roots.AddCert(certs.Certificate())
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: certs.TLS.Certificates})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { relay(client, server.Addr()) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		server.Kill()
		wg.Wait()
	})
	return ln.Addr().String(), roots
}

// relay copies both ways until either side closes.
func relay(client net.Conn, addr string) {
	defer client.Close()
	server, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer server.Close()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		_, _ = io.Copy(server, client)
		server.Close()
	})
	_, _ = io.Copy(client, server)
	client.Close()
}

func TestFeedOverTLS(t *testing.T) {
	t.Parallel()
	addr, roots := secured(t, redistest.Start(t))
	cfg := quick(addr)
	cfg.TLS = &tls.Config{RootCAs: roots}
	var sink collector
	feed := connected(t, cfg, &sink)
	waitFor(t, "a ping", func() bool { return feed.Status().Ping > 0 })
	if _, err := feed.Publish(t.Context(), "a", "x"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the notification", func() bool { return sink.has(notification{"a", "x"}) })
	if cfg.TLS.ServerName != "" {
		t.Error("the caller's tls.Config was changed")
	}
}

func TestTLSRefusesAStranger(t *testing.T) {
	t.Parallel()
	addr, _ := secured(t, redistest.Start(t))
	cfg := quick(addr)
	cfg.TLS = &tls.Config{RootCAs: x509.NewCertPool()}
	cfg.MaxAttempts = 1
	var unknown x509.UnknownAuthorityError
	if err := run(t, cfg, &collector{}).wait(t); !errors.As(err, &unknown) {
		t.Errorf("Run: %v, want an unknown authority", err)
	}
}

func TestTLSHandshakeHangs(t *testing.T) {
	t.Parallel()
	addr := listen(t) // accepts and says nothing
	cfg := quick(addr)
	cfg.TLS = &tls.Config{}
	cfg.MaxAttempts = 1
	if err := run(t, cfg, &collector{}).wait(t); !errors.Is(err, ErrGaveUp) {
		t.Errorf("Run: %v", err)
	}
}
