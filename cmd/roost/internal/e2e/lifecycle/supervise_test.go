package lifecycle

import (
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// ear is the supervisor's end of NOTIFY_SOCKET. It reads all the time: ten messages that nobody reads would hold up the service.
type ear struct {
	t     *testing.T
	said  chan string
	env   roosttest.Env
	heard []string // so far
}

// supervise listens for a service whose watchdog waits for a second.
func supervise(t *testing.T) *ear {
	t.Helper()
	path := filepath.Join(redistest.SocketDir(t), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	e := &ear{t: t, said: make(chan string, 10_000), env: roosttest.Env{"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "1000000"}}
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, err := conn.Read(buffer)
			if err != nil {
				return
			}
			e.said <- string(buffer[:n])
		}
	}()
	return e
}

// await returns the message that says something, the next or a later one.
func (e *ear) await(what string) string {
	e.t.Helper()
	tooLate := time.After(roosttest.Limit)
	for {
		select {
		case said := <-e.said:
			e.heard = append(e.heard, said)
			if strings.Contains(said, what) {
				return said
			}
		case <-tooLate:
			e.t.Fatalf("the supervisor does not hear %q, only %q", what, e.heard)
		}
	}
}

func TestSupervisorHearsOfALife(t *testing.T) {
	t.Parallel()
	ear := supervise(t)
	redis := redistest.Start(t)
	began := time.Now()
	server := roosttest.Start(t, redis, ear.env)
	said := ear.await("READY=1")
	if strings.Contains(said, "waiting for Redis") && time.Since(began) >= patience {
		t.Skip("this machine is too busy to reach Redis for as long as being ready waits")
	}
	if !strings.Contains(said, "\nSTATUS=0 connections") || strings.Contains(said, "Redis") {
		t.Errorf("ready with %q, want a status line, and Redis connected", said)
	}
	if health := server.Health(false); health.Code != 200 {
		t.Errorf("/health is %d when it is ready", health.Code)
	}
	alice := server.Connect("alice")
	ear.await("STATUS=1 connection of 1 user")
	ear.await("WATCHDOG=1")
	ear.await("WATCHDOG=1")
	if code := server.Stop(); code != 0 {
		t.Errorf("ended with %d", code)
	}
	ear.await("STOPPING=1")
	alice.WaitClose()
}

// patience is how long being ready waits for Redis.
const patience = 5 * time.Second

// Redis that is away holds readiness up for a while, and not for ever.
func TestReadyWithoutRedis(t *testing.T) {
	t.Parallel()
	ear := supervise(t)
	began := time.Now()
	server := roosttest.Launch(t, e2e.NoRedis{}, ear.env)
	if said := ear.await("READY=1"); !strings.Contains(said, "waiting for Redis") {
		t.Errorf("ready with %q, want to hear of Redis", said)
	}
	if took := time.Since(began); took < patience {
		t.Errorf("Redis had only %s to come", took)
	}
	server.Connect("alice") // is served all the same
	ear.await("WATCHDOG=1")
}

// A supervisor that asks for a reload hears when it begins and when it is over, and the status line says how it went.
func TestSupervisorHearsOfReloads(t *testing.T) {
	t.Parallel()
	ear := supervise(t)
	server := startConfigured(t, ear.env)
	ear.await("READY=1")
	for _, reload := range []struct {
		line   string
		failed bool
	}{{"WS_MESSAGE_RATE=9", false}, {"WS_MESSAGE_RATE=none", true}, {"WS_MESSAGE_RATE=8", false}} {
		var before unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &before); err != nil {
			t.Fatal(err)
		}
		server.reload(t, reload.line)
		said := ear.await("RELOADING=1\nMONOTONIC_USEC=")
		at, err := strconv.ParseInt(strings.Split(strings.Split(said, "USEC=")[1], "\n")[0], 10, 64)
		if err != nil || at < before.Nano()/1000 {
			t.Errorf("the reload is said to begin at %q, and was asked for at %d: %v", said, before.Nano()/1000, err)
		}
		said = ear.await("READY=1")
		if got := strings.Contains(said, "the last reload failed"); got != reload.failed {
			t.Errorf("after %s: %q", reload.line, said)
		}
	}
}

// A new process that does not come up leaves the supervisor to the old one: nothing that it says could be taken for the
// service's.
func TestFailedUpgradeSaysNothing(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		attempts string // to connect to a Redis that is not there; 0 is for ever
		toldTo   bool   // stop, while it tries
		says     string // the new process, in the log
	}{
		{"Redis is gone for good", "2", false, "this process can't take over and ends; the one before goes on"},
		{"told to stop", "0", true, "stopping"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ear := supervise(t)
			redis := redistest.Start(t)
			server := &configured{redis: redis, path: filepath.Join(t.TempDir(), "roost.env")}
			server.write(t, fmt.Sprint("REDIS_PORT=", redis.Port()))
			ear.env["WS_UPGRADE"] = "drain" // else another Redis is refused
			ear.env["ROOST_CONFIG_FILE"] = server.path
			server.Server = roosttest.StartWrapped(t, redis, ear.env,
				"env", "-u", "JWT_SECRET_KEY", "-u", "REDIS_PORT", "-u", "REDIS_FEED_MAX_ATTEMPTS")
			e2e.EndLast(t, server.Server)
			ear.await("READY=1")
			ear.heard = nil
			server.write(t, "REDIS_PORT=1", "REDIS_FEED_MAX_ATTEMPTS="+test.attempts)
			server.Signal(syscall.SIGUSR2)
			awaitNew(t, server.Server)
			next := e2e.LastPid(server.Server)
			if test.toldTo {
				e2e.SignalLast(server.Server, syscall.SIGTERM)
			}
			server.WaitLine(test.says)
			server.WaitLine("the upgrade failed, this process goes on")
			ear.await("WATCHDOG=1")
			for _, said := range ear.heard {
				if strings.Contains(said, "STOPPING") || strings.Contains(said, fmt.Sprint("MAINPID=", next)) || strings.Contains(said, "waiting for Redis") {
					t.Errorf("the supervisor hears %q", said)
				}
			}
			server.Connect("alice")
			ear.await("STATUS=1 connection of ")
			if len(server.Log.Find("stopping takes too long; the rest is cut")) > 0 {
				t.Error("a part of the new process did not end by itself")
			}
			server.Stop()
			ear.await("STOPPING=1")
		})
	}
}

func TestStoppingIsHeardBeforeReady(t *testing.T) {
	t.Parallel()
	ear := supervise(t)
	server := roosttest.Launch(t, e2e.NoRedis{}, ear.env)
	if code := server.Stop(); code != 0 {
		t.Errorf("ended with %d", code)
	}
	ear.await("STOPPING=1")
}
