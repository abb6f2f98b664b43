package main

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// ear is the supervisor's end of NOTIFY_SOCKET.
type ear struct {
	t    *testing.T
	conn *net.UnixConn
	env  roosttest.Env
}

// supervise listens for a service whose watchdog waits for a second.
func supervise(t *testing.T) *ear {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &ear{t, conn, roosttest.Env{"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "1000000"}}
}

// await returns the message that says something, the next or a later one.
func (e *ear) await(what string) string {
	e.t.Helper()
	_ = e.conn.SetReadDeadline(time.Now().Add(roosttest.Limit))
	buffer := make([]byte, 4096)
	for {
		n, err := e.conn.Read(buffer)
		if err != nil {
			e.t.Fatalf("the supervisor does not hear %q: %v", what, err)
		}
		if said := string(buffer[:n]); strings.Contains(said, what) {
			return said
		}
	}
}

func TestSupervisorHearsOfALife(t *testing.T) {
	t.Parallel()
	ear := supervise(t)
	server := roosttest.Start(t, redistest.Start(t), ear.env)
	said := ear.await("READY=1")
	if !strings.Contains(said, "\nSTATUS=0 connections") || strings.Contains(said, "Redis") {
		t.Errorf("ready with %q, want a status line, and Redis connected", said)
	}
	if health := server.Health(false); health.Code != 200 {
		t.Errorf("/health is %d when it is ready", health.Code)
	}
	alice := server.Connect("alice")
	ear.await("STATUS=1 connections of 1 users")
	ear.await("WATCHDOG=1")
	ear.await("WATCHDOG=1")
	if code := server.Stop(); code != 0 {
		t.Errorf("ended with %d", code)
	}
	ear.await("STOPPING=1")
	alice.WaitClose()
}

// Redis that is away holds readiness up for a while, and not for ever.
func TestReadyWithoutRedis(t *testing.T) {
	t.Parallel()
	ear := supervise(t)
	server := roosttest.Launch(t, noRedis{}, ear.env)
	began := time.Now()
	if said := ear.await("READY=1"); !strings.Contains(said, "waiting for Redis") {
		t.Errorf("ready with %q, want to hear of Redis", said)
	}
	if took := time.Since(began); took < 3*time.Second {
		t.Errorf("Redis had only %s to come", took)
	}
	server.Connect("alice") // is served all the same
	ear.await("WATCHDOG=1")
}

func TestStoppingIsHeardBeforeReady(t *testing.T) {
	t.Parallel()
	ear := supervise(t)
	server := roosttest.Launch(t, noRedis{}, ear.env)
	if code := server.Stop(); code != 0 {
		t.Errorf("ended with %d", code)
	}
	ear.await("STOPPING=1")
}
