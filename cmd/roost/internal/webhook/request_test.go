package webhook

import (
	"bytes"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// tryReal sends one request to a real server, once.
func tryReal(t *testing.T, cfg Config) (*Sender, answer) {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.client.CloseIdleConnections()
	s.Push([]Event{{User: "alice", Online: true}})
	return s, s.post(t.Context(), s.queue.next())
}

// The behaviour of real servers, good ones and bad ones.
func TestRealEndpoints(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	t.Cleanup(other.Close)
	for name, tt := range map[string]struct {
		handle func(w http.ResponseWriter, r *http.Request)
		want   Result
		why    string
	}{
		"takes it": {func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }, ResultOK, ""},
		"accepted": {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusAccepted) }, ResultOK, ""},
		"hangs": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // only then a server notices that the client is gone
			<-r.Context().Done()
		}, ResultTimeout, "no response in time"},
		"closes":   {func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }, ResultNetwork, ""},
		"fails":    {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusBadGateway) }, ResultServerError, "502"},
		"too many": {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusTooManyRequests) }, ResultTooMany, "429"},
		"redirects": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		}, ResultRedirect, "not followed"},
		"refuses": {func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, "bad signature\nand more", http.StatusUnauthorized)
		},
			ResultRefused, "answered 401: bad signature"},
		"never stops": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			for line := bytes.Repeat([]byte("x"), 64<<10); ; {
				if _, err := w.Write(line); err != nil {
					return
				}
			}
		}, ResultRefused, "answered 400: xxx"},
		"a head without an end": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Long", strings.Repeat("x", 4*maxResponseHead))
		}, ResultNetwork, "header"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(tt.handle))
			t.Cleanup(server.Close)
			cfg := testConfig()
			cfg.URL = server.URL + "/hooks?key=pass"
			cfg.Timeout = patience
			if tt.want == ResultTimeout {
				cfg.Timeout = 50 * time.Millisecond
			}
			_, a := tryReal(t, cfg)
			if a.result != tt.want || !strings.Contains(a.why, tt.why) || len(a.why) > maxLine+50 || strings.Contains(a.why, "key=pass") {
				t.Errorf("%s: %s", a.result, a.why)
			}
		})
	}
	t.Cleanup(func() {
		if n := elsewhere.Load(); n != 0 {
			t.Errorf("a redirect was followed %d times", n)
		}
	})
}

// Nobody listens.
func TestNoEndpoint(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	cfg := testConfig()
	cfg.URL = server.URL
	if _, a := tryReal(t, cfg); a.result != ResultNetwork || !strings.Contains(a.why, "connection refused") {
		t.Errorf("%s: %s", a.result, a.why)
	}
}

// An endpoint with a certificate of an authority of one's own is trusted with that authority alone.
func TestAuthorities(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of the handshake that fails
	server.StartTLS()
	t.Cleanup(server.Close)
	cfg := testConfig()
	cfg.URL, cfg.Timeout = server.URL, patience
	if _, a := tryReal(t, cfg); a.result != ResultNetwork || !strings.Contains(a.why, "certificate") {
		t.Errorf("without it: %s: %s", a.result, a.why)
	}
	cfg.Authorities = x509.NewCertPool()
	cfg.Authorities.AddCert(server.Certificate())
	if _, a := tryReal(t, cfg); a.result != ResultOK {
		t.Errorf("with it: %s: %s", a.result, a.why)
	}
}

func TestFirstLine(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"": "", "\n\n": "", "one": "one", "\r\none\r\ntwo": "one", "a\xffb": "a\uFFFDb", strings.Repeat("ż", 101): strings.Repeat("ż", 100) + "…",
		strings.Repeat("ż", 100): strings.Repeat("ż", 100), "x" + strings.Repeat("ż", 100): "x" + strings.Repeat("ż", 99) + "…",
	} {
		if got := firstLine([]byte(body)); got != want {
			t.Errorf("%q: %q, want %q", body, got, want)
		}
	}
}
