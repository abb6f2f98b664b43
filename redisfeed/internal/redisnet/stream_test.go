package redisnet

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"roost/redisfeed/redistest"
)

// corked keeps what is written while it is corked.
type corked struct {
	net.Conn
	held *bytes.Buffer // nil: not corked
}

func (c *corked) Write(b []byte) (int, error) {
	if c.held != nil {
		return c.held.Write(b)
	}
	return c.Conn.Write(b)
}

// batchServer waits for a byte, and then sends all in one piece, each part a record of its own where there is TLS; then
// once more.
func batchServer(t *testing.T, certificates []tls.Certificate, parts ...string) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		socket, err := ln.Accept()
		if err != nil {
			return
		}
		defer socket.Close()
		cork := &corked{Conn: socket}
		conn := net.Conn(cork)
		in := make([]byte, 100)
		if certificates != nil {
			conn = tls.Server(cork, &tls.Config{Certificates: certificates})
			if _, err := conn.Read(in); err != nil { // the PING after the handshake
				return
			}
			_, _ = conn.Write([]byte("+PONG\r\n"))
		}
		for {
			if _, err := conn.Read(in); err != nil {
				return
			}
			cork.held = new(bytes.Buffer)
			for _, part := range parts {
				_, _ = conn.Write([]byte(part))
			}
			_, _ = socket.Write(cork.held.Bytes())
			cork.held = nil
		}
	}()
	t.Cleanup(func() { ln.Close(); <-done })
	return ln.Addr().String()
}

// With TLS, too, a batch is what came at once, though TLS gives it out record by record; and the reader waits for nothing
// but the next batch.
func TestStreamReadsBatches(t *testing.T) {
	t.Parallel()
	web := httptest.NewTLSServer(nil)
	web.Close()
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	for name, tt := range map[string]struct {
		config *tls.Config
		certs  []tls.Certificate
		want   []string // the parts of a batch
	}{
		"plain":   {nil, nil, []string{"onetwothree"}},
		"TLS 1.3": {&tls.Config{RootCAs: roots}, web.TLS.Certificates, []string{"one", "two", "three"}},
		"TLS 1.2": {&tls.Config{RootCAs: roots, MaxVersion: tls.VersionTLS12}, web.TLS.Certificates, []string{"one", "two", "three"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &Dialer{TLS: tt.config, Timeout: time.Minute}
			s, err := d.Stream(t.Context(), batchServer(t, tt.certs, "one", "two", "three"), time.Minute, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			buf := make([]byte, 100)
			for range 3 {
				if _, err := s.Write([]byte{'.'}); err != nil {
					t.Fatal(err)
				}
				read := s.Read
				for _, want := range tt.want {
					n, err := read(buf)
					if err != nil || string(buf[:n]) != want {
						t.Fatalf("got %q, %v, want %q", buf[:n], err, want)
					}
					read = s.Rest
				}
				if n, err := s.Rest(buf); n != 0 || err != nil {
					t.Fatalf("after the batch %q, %v", buf[:n], err)
				}
			}
			_ = s.Close()
			if _, err := s.Read(buf); err == nil {
				t.Error("something came from a closed connection")
			}
		})
	}
}

// With TLS nobody sees how much of the socket's bytes one read took, but that read.
func TestStreamKnowsThatMoreWaits(t *testing.T) {
	t.Parallel()
	inner, outer := net.Pipe()
	defer inner.Close()
	g := &gate{Conn: outer}
	s := &Stream{gate: g, conn: g}
	go func() { _, _ = inner.Write([]byte("twelve bytes")) }()
	for _, tt := range []struct {
		room int
		full bool
	}{{8, true}, {8, false}} {
		if _, err := s.Read(make([]byte, tt.room)); err != nil || s.Full() != tt.full {
			t.Errorf("full is %v, %v, want %v", s.Full(), err, tt.full)
		}
	}
	if (&Stream{conn: outer}).Full() {
		t.Error("full without TLS")
	}
}

func TestStreamOverAUnixSocket(t *testing.T) {
	t.Parallel()
	path := redistest.SocketDir(t) + "/redis.sock"
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	s, err := (&Dialer{Timeout: time.Minute}).Stream(t.Context(), path, time.Minute, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
}
