package admin

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

// dialAdmin opens a connection to the admin server from another address of this machine, and says something.
func dialAdmin(t *testing.T, server *roosttest.Server, text string) {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("127.0.0.2")}, Timeout: roosttest.Limit}
	conn, err := dialer.Dial("tcp", server.HTTP)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_, _ = conn.Write([]byte(text)) // it may have been closed for the next
}

// TestIdleAdminConnectionsKeepNobodyOut has a stranger open more connections to the admin server than the process has
// descriptors. Clients get in, both ports answer, and the link to Redis is made again when it breaks.
func TestIdleAdminConnectionsKeepNobodyOut(t *testing.T) {
	t.Parallel()
	redis, server := e2e.StartWithDescriptors(t, 400, nil)
	begun := time.Now()
	for i := range 1000 {
		dialAdmin(t, server, [...]string{"", "GET /heal", "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"}[i%3])
	}
	for i := range 25 {
		server.Connect("user-" + strconv.Itoa(i))
	}
	answer := server.Dial().Ask("GET /health HTTP/1.1\r\nHost: lb\r\n\r\n")
	if answer.StatusCode != http.StatusOK {
		t.Errorf("/health of the WebSocket port: %s", answer.Status)
	}
	metrics := server.Metrics()
	want := 1000.0 - 64
	if time.Since(begun) > 5*time.Second { // then others may have timed out before
		want = 1
	}
	if open, evicted := metrics["roost_admin_connections"], metrics["roost_admin_connections_evicted_total"]; open > 64 || evicted < want {
		t.Errorf("%v connections to the admin server, %v evicted", open, evicted)
	}
	redis.Restart()
	server.WaitMetric("roost_redis_reconnects_total", 1)
	server.WaitMetric("roost_redis_up", 1)
	e2e.Notify(redis, "user-3", e2e.Numbered(1))
	server.WaitMetric("roost_deliveries_sent_total", 1)
}

// TestAdminWithoutDescriptors takes all descriptors from a running server. Its monitoring goes on seeing it, and it can
// be upgraded, since descriptors are kept aside for that.
func TestAdminWithoutDescriptors(t *testing.T) {
	t.Parallel()
	_, server := e2e.Start(t, nil)
	e2e.EndLast(t, server)
	alice := server.Connect("alice")
	// Clients take the numbers that are free below those that are kept aside, as the kernel gives the lowest.
	for firstFree(t, server) <= lastSpare(t, server) {
		server.Connect("filler")
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: roosttest.Limit}
	e2e.LimitDescriptors(t, server, firstFree(t, server))
	const failing = "accepting connections fails; trying again"
	roosttest.WaitFor(t, "accepting to fail", func() bool { // more than one, as the number of something short-lived may have been counted
		server.Dial()
		return len(server.Log.Find(failing)) > 0
	})
	for _, path := range []string{"/health", "/health?deep=0", "/metrics", "/metrics?format=json", "/health"} {
		response, err := client.Get("http://" + server.HTTP + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", path, response.Status)
		}
	}
	for range 3 * 64 {
		dialAdmin(t, server, "GET /health HTTP/1.1\r\n")
	}
	metrics := server.Metrics()
	if metrics["process_open_fds"] < 20 || metrics["process_resident_memory_bytes"] == 0 || metrics["roost_accept_errors_total"] == 0 {
		t.Errorf("%v descriptors, %v bytes, %v errors", metrics["process_open_fds"], metrics["process_resident_memory_bytes"], metrics["roost_accept_errors_total"])
	}
	if alice.Ended() {
		t.Error("alice lost her connection")
	}
	e2e.Upgrade(t, server)
	server.WaitLine("stopped")
	e2e.SignalLast(server, syscall.SIGTERM)
	if code := server.Wait(); code != 0 {
		t.Errorf("the old process ended with %d", code)
	}
}

// firstFree is the lowest descriptor that the server does not have open.
func firstFree(t *testing.T, server *roosttest.Server) int {
	t.Helper()
	for fd := 0; ; fd++ {
		if _, err := os.Lstat(fmt.Sprintf("/proc/%d/fd/%d", server.Pid(), fd)); err != nil {
			return fd
		}
	}
}

// lastSpare is the highest descriptor that is kept aside.
func lastSpare(t *testing.T, server *roosttest.Server) (last int) {
	t.Helper()
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", server.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if fd, err := strconv.Atoi(filepath.Base(link)); err == nil && fd > 2 {
			if file, _ := os.Readlink(link); file == os.DevNull {
				last = max(last, fd)
			}
		}
	}
	if last == 0 {
		t.Fatal("none is kept aside")
	}
	return last
}

// TestOpenAdminServerIsSaid checks for a warning if others reach the admin server without a token, and at no other time.
func TestOpenAdminServerIsSaid(t *testing.T) {
	t.Parallel()
	const warning = "others can reach the admin server, and it asks for no token: set HTTP_TOKEN, or HTTP_HOST=127.0.0.1"
	for _, tt := range []struct {
		host, token string
		said        bool
	}{
		{"127.0.0.1", "", false}, {"localhost", "", false}, {"0.0.0.0", "", true}, {"", "", true}, {"0.0.0.0", "0123456789abcdef", false},
	} {
		server := roosttest.Launch(t, e2e.NoRedis{}, roosttest.Env{"HTTP_HOST": tt.host, "HTTP_TOKEN": tt.token})
		if said := len(server.Log.Find(warning, "level", "WARN")) > 0; said != tt.said {
			t.Errorf("HTTP_HOST=%s HTTP_TOKEN=%s: said %t", tt.host, tt.token, said)
		}
	}
}

// TestAddressFamilies wants 0.0.0.0 to leave IPv6 closed, and :: to open both.
func TestAddressFamilies(t *testing.T) {
	t.Parallel()
	if conn, err := net.Listen("tcp6", "[::1]:0"); err != nil {
		t.Skipf("no IPv6 here: %v", err)
	} else {
		_ = conn.Close()
	}
	for host, both := range map[string]bool{"0.0.0.0": false, "::": true, "": true} {
		server := roosttest.Launch(t, e2e.NoRedis{}, roosttest.Env{"WS_HOST": host, "HTTP_HOST": host, "HTTP_TOKEN": "0123456789abcdef"})
		for name, address := range map[string]string{"WS_HOST": server.WS, "HTTP_HOST": server.HTTP} {
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				t.Fatal(err)
			}
			for target, want := range map[string]bool{"127.0.0.1": true, "::1": both} {
				conn, err := net.DialTimeout("tcp", net.JoinHostPort(target, port), roosttest.Limit)
				if err == nil {
					_ = conn.Close()
				}
				if (err == nil) != want {
					t.Errorf("%s=%s at %s: %v", name, host, target, err)
				}
			}
			if strings.HasPrefix(address, "[::]") != both {
				t.Errorf("%s=%s listens on %s", name, host, address)
			}
		}
	}
}
