package redisfeed

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"roost/redisfeed/publish"
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
	redistest.WaitFor(t, "a ping", func() bool { return feed.Status().Ping > 0 })
	if _, err := feed.Publish(t.Context(), "a", "x"); err != nil {
		t.Fatal(err)
	}
	redistest.WaitFor(t, "the notification", func() bool { return sink.has(notification{"a", "x"}) })
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
	addr := redistest.Listen(t) // accepts and says nothing
	cfg := noticing(quick(addr))
	cfg.TLS = &tls.Config{}
	cfg.MaxAttempts = 1
	if err := run(t, cfg, &collector{}).wait(t); !errors.Is(err, ErrGaveUp) {
		t.Errorf("Run: %v", err)
	}
}

// A redis-server with TLS of its own, and each way in which it and Roost can fail to trust each other.
func TestRedisWithTLS(t *testing.T) {
	t.Parallel()
	ours, other := redistest.NewAuthority(t), redistest.NewAuthority(t)
	good := ours.Issue("127.0.0.1")
	start := func(shown redistest.Certificate, clients bool) string {
		return redistest.StartTLS(t, redistest.TLS{Authority: ours, Shown: shown, Clients: clients}).Addr()
	}
	open, strict := start(good, false), start(good, true)
	named := start(ours.Issue("redis.example"), false)
	late := start(ours.IssueUntil("127.0.0.1", time.Now().Add(-time.Hour)), false)
	for _, tt := range []struct {
		name, addr string
		cfg        *tls.Config
		want       string // in the error; empty: it works
	}{
		{name: "right", addr: open},
		{name: "right certificate", addr: strict, cfg: &tls.Config{Certificates: pair(t, ours.Issue("roost"))}},
		{name: "right name", addr: named, cfg: &tls.Config{ServerName: "redis.example"}},
		{name: "no certificate", addr: strict, want: "redis refuses our certificate, or that we have none (REDIS_TLS_CERT_FILE"},
		{
			name: "no certificate, TLS 1.2", addr: strict, cfg: &tls.Config{MaxVersion: tls.VersionTLS12},
			want: "redis refuses our certificate, or that we have none (REDIS_TLS_CERT_FILE",
		},
		{
			name: "a stranger's certificate", addr: strict, cfg: &tls.Config{Certificates: pair(t, other.Issue("roost"))},
			want: "redis refuses our certificate, or that we have none (REDIS_TLS_CERT_FILE",
		},
		{
			name: "wrong authority", addr: open, cfg: &tls.Config{RootCAs: other.Roots()},
			want: "nobody that is trusted signed redis's certificate (REDIS_TLS_CA_FILE)",
		},
		{
			name: "wrong name", addr: open, cfg: &tls.Config{ServerName: "redis.example"},
			want: "redis's certificate is not for redis.example (REDIS_TLS_SERVER_NAME)",
		},
		{name: "address instead of name", addr: named, want: "redis's certificate is not for 127.0.0.1 (REDIS_TLS_SERVER_NAME)"},
		{name: "expired", addr: late, want: "redis's certificate has expired"},
		{name: "no TLS there", addr: redistest.Start(t).Addr(),
			want: "no answer, as from a port that speaks no TLS (REDIS_PORT, REDIS_USE_TLS)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := quick(tt.addr)
			if strings.HasPrefix(tt.want, "no answer") {
				cfg.Timeout = silence // far less than HeartbeatTimeout, which would end the link with less to say
			}
			cfg.TLS = tt.cfg.Clone()
			if cfg.TLS == nil {
				cfg.TLS = &tls.Config{}
			}
			if cfg.TLS.RootCAs == nil {
				cfg.TLS.RootCAs = ours.Roots()
			}
			if tt.want == "" {
				worksOver(t, cfg)
				return
			}
			cfg.MaxAttempts = 1
			feed := run(t, cfg, &collector{})
			if err := feed.wait(t); !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Run: %v, want %q", err, tt.want)
			}
			if s := feed.Status(); !strings.Contains(s.Err, "TLS handshake with "+tt.addr+": "+tt.want) {
				t.Errorf("status says %q", s.Err)
			}
			publisher, err := publish.New(cfg.Config)
			if err != nil {
				t.Fatal(err)
			}
			defer publisher.Close()
			if _, err := publisher.Publish(t.Context(), "a", "x"); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Publish: %v, want %q", err, tt.want)
			}
		})
	}
}

// worksOver wants a heartbeat and a notification to come.
func worksOver(t *testing.T, cfg Config) {
	t.Helper()
	var sink collector
	feed := connected(t, cfg, &sink)
	redistest.WaitFor(t, "a ping", func() bool { return feed.Status().Ping > 0 })
	var n int64
	err := inTime(t, func() (err error) {
		n, err = feed.Publish(t.Context(), "a", "x")
		return err
	})
	if err != nil || n == 0 {
		t.Fatalf("Publish: %d received it, %v", n, err)
	}
	redistest.WaitFor(t, "the notification", func() bool { return sink.has(notification{"a", "x"}) })
}

func pair(t *testing.T, c redistest.Certificate) []tls.Certificate {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(c.File, c.Key)
	if err != nil {
		t.Fatal(err)
	}
	return []tls.Certificate{cert}
}
