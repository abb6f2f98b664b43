package lifecycle

import (
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// The orders in which an upgrade, a stop and a failure can come.

// A process that is told to stop while the new one starts either takes that along, or leaves it a port that works.
func TestStopDuringAnUpgrade(t *testing.T) {
	t.Parallel()
	_, server := e2e.Start(t, roosttest.Env{"WS_UPGRADE": "drain", "WS_DRAIN_DELAY": "3s", "WS_SHUTDOWN_TIMEOUT": "20s"})
	e2e.EndLast(t, server)
	server.Signal(syscall.SIGUSR2)
	server.WaitLine("upgrading: a new process is started")
	server.Signal(syscall.SIGTERM)
	server.WaitLine("stopped")
	if len(server.Log.Find("the new process is ready")) > 0 { // else the stop was first, and took it along
		awaitNew(t, server)
		if err := connectOnce(t, server, "alice"); err != nil {
			t.Errorf("the new process lives, and nobody can connect: %v", err)
		}
		e2e.SignalLast(server, syscall.SIGTERM)
	}
	if code := server.Wait(); code != 0 {
		t.Errorf("ended with %d", code)
	}
}

// A new process that is told to end before it has taken over leaves the old one in charge.
func TestNewProcessIsToldToEnd(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	server := roosttest.Start(t, redis, roosttest.Env{"WS_UPGRADE": "drain", "WS_DRAIN_DELAY": "2s", "WS_SHUTDOWN_TIMEOUT": "20s"})
	e2e.EndLast(t, server)
	redis.Pause() // so that the new one waits
	server.Signal(syscall.SIGUSR2)
	roosttest.WaitFor(t, "the new process", func() bool { return len(server.Log.Find("listening")) == 2 })
	e2e.SignalLast(server, syscall.SIGTERM)
	server.WaitLine("stopping")
	redis.Resume()
	server.WaitLine("the upgrade failed, this process goes on")
	if err := connectOnce(t, server, "alice"); err != nil {
		t.Errorf("nobody serves any more: %v", err)
	}
	server.Signal(syscall.SIGTERM)
	if code := server.Wait(); code != 0 {
		t.Errorf("ended with %d", code)
	}
}

// startDraining has a server replaced that takes its time to let alice go.
func startDraining(t *testing.T) (redis *redistest.Server, server *roosttest.Server, alice *roosttest.Client) {
	t.Helper()
	redis, server = e2e.Start(t, roosttest.Env{"WS_UPGRADE": "drain", "WS_DRAIN_WINDOW": "10m", "WS_DRAIN_RATE": "0", "WS_SHUTDOWN_TIMEOUT": "11m"})
	e2e.EndLast(t, server)
	alice = server.Connect("alice")
	server.Signal(syscall.SIGUSR2)
	server.WaitLine("draining: no new connections, and the open ones are closed")
	awaitNew(t, server)
	return redis, server, alice
}

// When the new process dies while the old one lets its connections go, nobody serves those who connect, and no supervisor
// sees it: the old one ends, so that the service is started again.
func TestNewProcessDiesSoon(t *testing.T) {
	t.Parallel()
	_, server, alice := startDraining(t)
	e2e.SignalLast(server, syscall.SIGKILL)
	if code, _ := alice.WaitClose(); code != 1001 {
		t.Errorf("closed with %d, want 1001", code)
	}
	if code := server.Wait(); code != 1 {
		t.Errorf("ended with %d, want 1", code)
	}
	line := server.WaitLine("the service failed while it stopped")
	if got := line.Text("error"); got != "the new process has ended, and nobody serves those who connect" {
		t.Errorf("the log says %q", got)
	}
}

// Where both are asked to stop, as a supervisor does that stops the service, the old process lets its connections go in
// the time that they have. It stands still meanwhile: it has only seconds to be told once it sees that the new one has ended.
func TestBothAreToldToStop(t *testing.T) {
	t.Parallel()
	redis, server, alice := startDraining(t)
	server.Signal(syscall.SIGSTOP)
	t.Cleanup(func() { server.Signal(syscall.SIGCONT) })
	e2e.SignalLast(server, syscall.SIGTERM)
	server.WaitLine("stopped") // the new one: it has nobody to let go
	server.Signal(syscall.SIGTERM)
	server.Signal(syscall.SIGCONT)
	// For longer than it would wait to be told, if it were not, it serves who is left.
	served := 0
	roosttest.Elapse(3*time.Second, 100*time.Millisecond, func() {
		served++
		e2e.Notify(redis, "alice", e2e.Numbered(served))
		alice.WaitMessages(served)
	})
	alice.Close() // and so there is nobody left to wait for
	if code := server.Wait(); code != 0 {
		t.Errorf("ended with %d", code)
	}
}

// The supervisor hears of the new process before the old one ends, which with nobody connected is at once.
func TestSupervisorHearsInTime(t *testing.T) {
	t.Parallel()
	ear := supervise(t)
	delete(ear.env, "WATCHDOG_USEC")
	server := roosttest.Start(t, redistest.Start(t), ear.env)
	e2e.EndLast(t, server)
	ear.await(fmt.Sprintf("READY=1\nMAINPID=%d\n", server.Pid()))
	server.Signal(syscall.SIGUSR2)
	e2e.AwaitReady(t, server)
	// READY does not come first: the new process says it when it has looked around.
	said := ear.await("MAINPID=")
	ear.await("READY=1")
	roosttest.WaitFor(t, "the new process's line", func() bool { return len(server.Log.Find("listening")) >= 2 })
	if said != fmt.Sprintf("MAINPID=%d", e2e.LastPid(server)) {
		t.Errorf("the first word of the new process, %d, is %q", e2e.LastPid(server), said)
	}
	e2e.SignalLast(server, syscall.SIGTERM)
	if code := server.Wait(); code != 0 {
		t.Errorf("ended with %d", code)
	}
}

// When Redis is gone for good while a service drains, there is nothing to wait for: clients come back elsewhere.
func TestFeedIsGoneWhileDraining(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	server := roosttest.Start(t, redis, roosttest.Env{
		"WS_DRAIN_DELAY": "40s", "WS_SHUTDOWN_TIMEOUT": "60s", "REDIS_FEED_MAX_ATTEMPTS": "2", "REDIS_FEED_RETRY_DELAY": "50ms",
	})
	alice := server.Connect("alice")
	server.Signal(syscall.SIGTERM)
	server.WaitLine("draining: clients are still served")
	redis.Kill()
	if code, _ := alice.WaitClose(); code != 1001 {
		t.Errorf("closed with %d, want 1001", code)
	}
	if code := server.Wait(); code != 1 {
		t.Errorf("ended with %d, want 1", code)
	}
	server.WaitLine("the service failed while it stopped")
}

// activated starts a server whose only socket from outside listens on an address, under a name.
func activated(t *testing.T, address, name string, env roosttest.Env) *roosttest.Server {
	t.Helper()
	ln, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	file, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	all := roosttest.ServerEnv(redistest.Start(t), env)
	all["LISTEN_FDS"], all["LISTEN_FDNAMES"] = "1", name
	return roosttest.Serving(t, roosttest.Run(t, roosttest.Command{
		Wrap: []string{"/bin/bash", "-c", `export LISTEN_PID=$$; exec "$@"`, "bash"}, Env: all, Files: []*os.File{file},
	}))
}

// The socket that a supervisor gives may listen elsewhere than WS_HOST says.
func TestActivatedElsewhere(t *testing.T) {
	t.Parallel()
	ear := supervise(t)
	ear.env["WS_HOST"] = "0.0.0.0"
	server := activated(t, "127.0.0.2:0", "websocket", ear.env)
	ear.await("READY=1")
	if !strings.HasPrefix(server.WS, "127.0.0.2:") {
		t.Errorf("listens on %s", server.WS)
	}
}

// A supervisor that has the admin port only does not have the WebSocket port, which is closed as ever: last.
func TestOnlyTheAdminPortIsActivated(t *testing.T) {
	t.Parallel()
	server := activated(t, "127.0.0.1:0", "http", nil)
	asking, err := net.Dial("tcp", server.WS)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = asking.Close() }()
	if _, err := asking.Write([]byte("GET /health HTTP/1.1\r\n")); err != nil { // half a request: the stop waits for it
		t.Fatal(err)
	}
	roosttest.WaitFor(t, "half a request", func() bool { return server.Metrics()["roost_received_bytes_total"] > 0 })
	server.Signal(syscall.SIGTERM)
	server.WaitLine("stopping")
	roosttest.Elapse(200*time.Millisecond, 10*time.Millisecond, func() { // it would be closed at once
		conn, err := net.Dial("tcp", server.WS)
		if err != nil {
			t.Fatalf("the port is closed while somebody is served: %v", err)
		}
		_ = conn.Close()
	})
	_ = asking.Close()
	if code := server.Wait(); code != 0 {
		t.Errorf("ended with %d", code)
	}
}
