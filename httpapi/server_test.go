package httpapi

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func TestListenSaysThatThePortIsInUse(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(t, l)
	s := newServer(t, Config{Addr: l.Addr().String()})
	err = s.Listen()
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), l.Addr().String()+" is in use already") {
		t.Errorf("error %v", err)
	}
	if s.Addr() != nil {
		t.Errorf("address %v", s.Addr())
	}
	if err := newServer(t, Config{Addr: l.Addr().String()}).Run(context.Background()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("Run: %v", err)
	}
}

func TestListenSaysWhatElseIsWrong(t *testing.T) {
	t.Parallel()
	err := newServer(t, Config{Addr: "192.0.2.1:0"}).Listen() // an address of nobody: RFC 5737
	if err == nil || !strings.Contains(err.Error(), "cannot listen on 192.0.2.1:0") {
		t.Errorf("error %v", err)
	}
}

// running starts a server, and returns its address and a function that stops it and waits.
func running(t *testing.T, cfg Config) (addr string, stop func() error) {
	t.Helper()
	cfg.Addr = cmp.Or(cfg.Addr, "127.0.0.1:0")
	s := newServer(t, cfg)
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	stop = func() error {
		cancel()
		select {
		case err := <-ran:
			return err
		case <-time.After(soon):
			return errors.New("Run does not return")
		}
	}
	return s.Addr().String(), stop
}

func TestRun(t *testing.T) {
	t.Parallel()
	addr, stop := running(t, Config{Addr: "127.0.0.82:0"}) // where nobody takes the port once it is free
	client := &http.Client{Transport: &http.Transport{}, Timeout: soon}
	defer client.CloseIdleConnections()
	for _, path := range []string{"/health", "/metrics", "/metrics?format=prometheus"} {
		resp, err := client.Get("http://" + addr + path)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != 200 || text(t, resp.Body) == "" {
			t.Errorf("%s: %s", path, resp.Status)
		}
		closeAll(t, resp.Body)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if conn, err := net.Dial("tcp", addr); err == nil {
		closeAll(t, conn)
		t.Error("it still listens")
	}
}

// A request under way when the server is told to stop gets its answer.
func TestStopWaitsForRequests(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	addr, stop := running(t, Config{Probe: func(ctx context.Context) []ProbeStep {
		close(asked)
		<-ctx.Done()
		return []ProbeStep{{Name: "a", Err: ctx.Err()}}
	}})
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(t, conn)
	if _, err := fmt.Fprintf(conn, "GET /health?deep=1 HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-asked:
	case <-time.After(soon):
		t.Fatal("the probe was not started")
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 503 || !strings.Contains(text(t, resp.Body), "context canceled") {
		t.Errorf("%s", resp.Status)
	}
}

// A server that was released, and stops before net/http has noticed that, does not say that it cuts off requests.
func TestStopAtOnceAfterRelease(t *testing.T) {
	t.Parallel()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	s := newServer(t, Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	l := &slowListener{Listener: inner, accepts: make(chan struct{}), closedTwice: make(chan struct{})}
	s.Use(l)
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	<-l.accepts
	s.Release()
	cancel()
	select {
	case err := <-ran:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(soon):
		t.Fatal("Run does not return")
	}
	if l.closed.Load() < 2 {
		t.Error("net/http has noticed it")
	}
	if strings.Contains(log.String(), "cut off") {
		t.Errorf("the log says %s", log.String())
	}
}

// slowListener says that it is closed only once it is closed twice.
type slowListener struct {
	net.Listener
	accepts, closedTwice chan struct{}
	once                 sync.Once
	closed               atomic.Int32
}

func (l *slowListener) Accept() (net.Conn, error) {
	l.once.Do(func() { close(l.accepts) })
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.closedTwice
	}
	return conn, err
}

func (l *slowListener) Close() error {
	if l.closed.Add(1) == 2 {
		close(l.closedTwice)
	}
	return l.Listener.Close()
}

// HEAD over the wire: the length of the body and no body.
func TestHEAD(t *testing.T) {
	t.Parallel()
	addr, stop := running(t, Config{})
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(t, conn)
	if _, err := fmt.Fprintf(conn, "HEAD /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer := text(t, conn)
	if !strings.HasPrefix(answer, "HTTP/1.1 200 OK\r\n") || !strings.Contains(answer, "\r\nContent-Length: 1") ||
		!strings.HasSuffix(answer, "\r\n\r\n") {
		t.Errorf("got %q", answer)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestHeaderLimit(t *testing.T) {
	t.Parallel()
	addr, stop := running(t, Config{})
	req, err := http.NewRequest("GET", "http://"+addr+"/health", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X", strings.Repeat("x", 24<<10)) // net/http takes 4 KiB above the limit
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: soon}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	closeAll(t, resp.Body)
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("%s", resp.Status)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// None of net/http's timeouts is left at its default, which is none.
func TestTimeoutsAreSet(t *testing.T) {
	t.Parallel()
	h := newServer(t, Config{}).http
	for _, d := range []time.Duration{h.ReadHeaderTimeout, h.ReadTimeout, h.IdleTimeout, h.WriteTimeout - deepTimeout} {
		if d <= 0 {
			t.Errorf("header %s, read %s, write %s, idle %s", h.ReadHeaderTimeout, h.ReadTimeout, h.WriteTimeout, h.IdleTimeout)
		}
	}
}

func closeAll(t *testing.T, c io.Closer) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// Without what they need, paths are not there.
func TestPathsThatAreOff(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{})
	for _, path := range []string{"/publish", "/openapi.yaml", "/console", "/debug/pprof/"} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			resp := ask(s, method, path)
			if closeAll(t, resp.Body); resp.StatusCode != http.StatusNotFound {
				t.Errorf("%s %s: %d", method, path, resp.StatusCode)
			}
		}
	}
}

// The log has all complaints of net/http, but only some of failed TLS handshakes, which scanners cause.
func TestComplaintsAreLogged(t *testing.T) {
	t.Parallel()
	var lines strings.Builder
	complains := errorLog(slog.New(slog.NewTextHandler(&lines, nil)))
	const accepts, handshakes = 5, 20
	for range accepts {
		complains.Print("http: Accept error: too many open files; retrying")
	}
	for range handshakes {
		complains.Print("http: TLS handshake error from 192.0.2.1:5: EOF")
	}
	text := lines.String()
	if n := strings.Count(text, "too many open files"); n != accepts {
		t.Errorf("%d of %d lines", n, accepts)
	}
	if n := strings.Count(text, "remote=192.0.2.1:5 error=EOF"); n == 0 || n == handshakes {
		t.Errorf("%d of %d failed handshakes are logged", n, handshakes)
	}
}
