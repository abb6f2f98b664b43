package admin

import (
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

func TestHealthOnTheWebSocketPort(t *testing.T) {
	t.Parallel()
	_, server := e2e.Start(t, roosttest.Env{"WS_MAX_CONNECTIONS": "1"})
	server.Connect("alice") // and so it is full
	tests := []struct {
		name, request string
		status        int
		body          bool
	}{
		{"GET", "GET /health HTTP/1.1\r\nHost: lb\r\n\r\n", http.StatusOK, true},
		{"GET 1.0", "GET /health HTTP/1.0\r\n\r\n", http.StatusOK, true},
		{"GET with a query", "GET /health?from=lb HTTP/1.1\r\nHost: lb\r\nConnection: keep-alive\r\n\r\n", http.StatusOK, true},
		{"HEAD", "HEAD /health HTTP/1.1\r\nHost: lb\r\n\r\n", http.StatusOK, false},
		{"HEAD 1.0", "HEAD /health HTTP/1.0\r\n\r\n", http.StatusOK, false},
		{"OPTIONS", "OPTIONS /health HTTP/1.1\r\nHost: lb\r\n\r\n", http.StatusNoContent, false},
		{"OPTIONS 1.0", "OPTIONS /health HTTP/1.0\r\nHost: lb\r\n\r\n", http.StatusNoContent, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			answer := server.As(t).Dial().Ask(test.request)
			if answer.StatusCode != test.status {
				t.Fatalf("status %s, want %d", answer.Status, test.status)
			}
			switch {
			case test.status == http.StatusNoContent:
				if allow := answer.Header.Get("Allow"); allow != "GET, HEAD, OPTIONS" {
					t.Errorf("Allow is %q", allow)
				}
			case answer.Header.Get("Content-Type") != "application/json" || answer.ContentLength <= 0:
				t.Errorf("headers %v", answer.Header)
			case test.body:
				checkHealthy(t, roosttest.ReadHealth(t, answer.StatusCode, []byte(answer.Text)))
			case answer.Text != "":
				t.Errorf("body %q", answer.Text)
			}
		})
	}
	checkHealthy(t, server.Health(false))
}

// checkHealthy checks what a healthy server with one connection says.
func checkHealthy(t *testing.T, h roosttest.Health) {
	t.Helper()
	if h.Code != http.StatusOK || h.Status != "healthy" || h.Redis.Status != "connected" || h.Redis.PingMS == nil || h.Redis.Error != "" {
		t.Errorf("%+v", h)
	}
	if h.WebSocket.Connections == nil || *h.WebSocket.Connections != 1 || h.WebSocket.Users == nil || *h.WebSocket.Users != 1 {
		t.Errorf("websocket %+v, want 1 connection of 1 user", h.WebSocket)
	}
	if h.Uptime == nil {
		t.Error("no uptime_seconds")
	}
	e2e.CheckTimestamp(t, h.Timestamp)
}

// TestWhileDraining keeps the drain going with a request of which a part has come, until it has seen enough.
func TestWhileDraining(t *testing.T) {
	t.Parallel()
	_, server := e2e.Start(t, roosttest.Env{"WS_HANDSHAKE_TIMEOUT": "5m", "WS_SHUTDOWN_TIMEOUT": "5m"})
	const part = "GET /ws HTTP/1.1\r\n"
	unfinished := server.Dial()
	unfinished.Send(part)
	server.WaitMetric("roost_received_bytes_total", float64(len(part)))
	const probe = "GET /health HTTP/1.1\r\nHost: lb\r\n\r\n"
	server.Signal(syscall.SIGTERM)
	server.WaitLine("stopping")
	var health roosttest.Health
	roosttest.WaitFor(t, "/health to say that it drains", func() bool {
		answer := server.Dial().Ask(probe)
		health = roosttest.ReadHealth(t, answer.StatusCode, []byte(answer.Text))
		return health.Status == "draining"
	})
	if health.Code != http.StatusServiceUnavailable {
		t.Errorf("status %d while draining", health.Code)
	}
	if side := server.Health(false); side.Code != http.StatusServiceUnavailable || side.Status != "draining" {
		t.Errorf("the admin server says %d %s", side.Code, side.Status)
	}
	e2e.CheckAlive(t, server)
	answer := e2e.RefusedFor(t, server, "draining")
	if answer.StatusCode != http.StatusServiceUnavailable || !strings.Contains(answer.Text, "leaving") {
		t.Errorf("a handshake is answered %s %q", answer.Status, answer.Text)
	}
	if seconds, err := strconv.Atoi(answer.Header.Get("Retry-After")); err != nil || seconds < 1 {
		t.Errorf("Retry-After is %q", answer.Header.Get("Retry-After"))
	}
	_ = unfinished.Close()
	if code := server.Wait(); code != 0 {
		t.Errorf("ended with %d", code)
	}
}

func TestProbesAreNotLogged(t *testing.T) {
	t.Parallel()
	_, server := e2e.Start(t, roosttest.Env{"WS_HANDSHAKE_TIMEOUT": "1s"})
	before := len(server.Log.Lines())
	for range 20 {
		_ = server.Dial().Close()
		started := server.Dial()
		started.Send("GET /health HTTP/1.1\r\n")
		_ = started.Close()
		server.AskInTime("GET /health HTTP/1.1\r\nHost: lb\r\n\r\n")
		reset := server.Dial()
		_ = reset.SetLinger(0)
		_ = reset.Close()
	}
	if err := server.Dial().End(); err != nil { // stays until it is timed out
		t.Error(err)
	}
	if code := server.Stop(); code != 0 {
		t.Errorf("ended with %d", code)
	}
	logged := strings.Join(server.Log.Messages()[before:], ", ")
	if want := "stopping, delivered, stopped"; logged != want {
		t.Errorf("logged %s, want %s", logged, want)
	}
}
