package lifecycle

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

// TestDrainDelay: load balancers see that a server stops, and it serves as before until they have had the time.
func TestDrainDelay(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, roosttest.Env{"WS_DRAIN_DELAY": "10m", "WS_SHUTDOWN_TIMEOUT": "11m"})
	server.Signal(syscall.SIGTERM)
	e2e.WaitHealth(t, server, http.StatusServiceUnavailable, "draining")
	alice := server.Connect("alice")
	e2e.Notify(redis, "alice", e2e.Numbered(1))
	alice.WaitMessages(1)
	roosttest.WaitFor(t, "the end", func() bool { server.Signal(syscall.SIGTERM); return server.Exited() }) // a second signal ends it at once
	if code := server.Wait(); code != -1 {
		t.Errorf("ended with %d before the delay was over", code)
	}
}

// TestDrain stops a server slowly: the port closes, then clients are let go one after another, and miss nothing until then.
func TestDrain(t *testing.T) {
	t.Parallel()
	const users = 30
	redis, server := e2e.Start(t, roosttest.Env{"WS_DRAIN_DELAY": "10ms", "WS_DRAIN_WINDOW": "10s", "WS_DRAIN_RATE": "0", "WS_SHUTDOWN_TIMEOUT": "30s"})
	var clients []*roosttest.Client
	for range users {
		clients = append(clients, server.Connect("alice"))
	}
	server.Signal(syscall.SIGTERM)
	server.WaitLine("draining: no new connections, and the open ones are closed")

	published, ended := 0, 0
	roosttest.WaitFor(t, "the last one to be let go", func() bool {
		e2e.Notify(redis, "alice", e2e.Numbered(published))
		published++
		ended = 0
		for _, c := range clients {
			if c.Ended() {
				ended++
			}
		}
		return ended == len(clients)
	})
	if code := server.Wait(); code != 0 {
		t.Errorf("ended with %d", code)
	}
	checkLetGo(t, clients)
	if lines := server.Log.Find("draining"); len(lines) < 1 {
		t.Error("no progress is told")
	}
	if n := len(server.Log.Find("disconnected", "reason", "restart")); n != len(clients) {
		t.Errorf("%d were let go, want %d", n, len(clients))
	}
}

// checkLetGo wants each to have been closed with 1001, without a gap in what it got, and not all at the same time: those
// that went later got more.
func checkLetGo(t *testing.T, clients []*roosttest.Client) {
	t.Helper()
	least, most := 1<<30, 0
	for i, c := range clients {
		if code, _ := c.WaitClose(); code != 1001 {
			t.Errorf("connection %d ended with %d", i, code)
		}
		got := c.Messages()
		for n, message := range got {
			if want := e2e.Numbered(n); !strings.HasPrefix(message, want[:len(want)-1]) {
				t.Fatalf("connection %d: got %s in place of %s", i, message, want)
			}
		}
		least, most = min(least, len(got)), max(most, len(got))
	}
	if most == 0 || least > most/2 {
		t.Errorf("the first to go got %d notifications, the last %d", least, most)
	}
}

// TestDrainWithoutWindow waits for load balancers and then stops as ever.
func TestDrainWithoutWindow(t *testing.T) {
	t.Parallel()
	_, server := e2e.Start(t, roosttest.Env{"WS_DRAIN_DELAY": "500ms"})
	alice := server.Connect("alice")
	begun := time.Now()
	server.Signal(syscall.SIGTERM)
	if code, _ := alice.WaitClose(); code != 1001 {
		t.Errorf("closed with %d, want 1001", code)
	}
	if took := time.Since(begun); took < 500*time.Millisecond {
		t.Errorf("closed after %s", took)
	}
	if code := server.Wait(); code != 0 {
		t.Errorf("ended with %d", code)
	}
}

// With few clients a window is not waited for.
func TestDrainOfFew(t *testing.T) {
	t.Parallel()
	_, server := e2e.Start(t, roosttest.Env{"WS_DRAIN_WINDOW": "10m", "WS_SHUTDOWN_TIMEOUT": "11m"})
	var clients []*roosttest.Client
	for range 10 {
		clients = append(clients, server.Connect("alice"))
	}
	server.Signal(syscall.SIGTERM)
	for _, c := range clients {
		if code, _ := c.WaitClose(); code != 1001 {
			t.Errorf("closed with %d, want 1001", code)
		}
	}
	if code := server.Wait(); code != 0 { // waits for less than the window
		t.Errorf("ended with %d", code)
	}
	line := server.WaitLine("draining: no new connections, and the open ones are closed")
	if got := line.Text("over"); got != "20ms" {
		t.Errorf("10 connections are let go over %s", got)
	}
}
