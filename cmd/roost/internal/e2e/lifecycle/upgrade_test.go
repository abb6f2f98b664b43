package lifecycle

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// TestUpgrade replaces the program three times under a steady stream of connects, of which not one may fail. Those who
// are connected are let go with 1001, come back, and get what is published while they are connected.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	const upgrades, streams, staying = 3, 4, 10
	redis, server := e2e.Start(t, roosttest.Env{"WS_UPGRADE": "drain", "WS_DRAIN_WINDOW": drainWindow.String(), "WS_DRAIN_RATE": "0", "WS_SHUTDOWN_TIMEOUT": "20s"})
	e2e.EndLast(t, server)
	var stop atomic.Bool
	var connects, scrapes atomic.Int64
	var passing, remaining sync.WaitGroup
	for i := range streams {
		passing.Go(func() {
			for !stop.Load() {
				connects.Add(1)
				if err := connectOnce(t, server, fmt.Sprint("passing", i)); err != nil {
					t.Errorf("connect %d: %v", connects.Load(), err)
					return
				}
			}
		})
	}
	passing.Go(func() {
		for ; !stop.Load(); scrapes.Add(1) {
			begun := time.Now()
			response, err := http.Get("http://" + server.HTTP + "/health")
			if err != nil && time.Since(begun) >= drainWindow {
				continue // the process that goes does not wait longer for a request, as in connect
			}
			if err != nil {
				t.Errorf("/health: %v", err)
				return
			}
			body, _ := io.ReadAll(response.Body)
			if _ = response.Body.Close(); response.StatusCode != 200 {
				t.Errorf("/health: %s %s", response.Status, body)
			}
		}
	})
	var present, returns, got atomic.Int64
	for i := range staying {
		remaining.Go(func() { stay(t, server, fmt.Sprint("staying", i), &stop, &present, &returns, &got) })
	}
	// Each has been let go once an upgrade, and is connected to the latest process.
	connected := func(upgrades int64) func() bool {
		return func() bool { return returns.Load() >= upgrades*staying && present.Load() == staying }
	}
	for n := 1; n <= upgrades; n++ {
		roosttest.WaitFor(t, "all to be connected", connected(int64(n-1)))
		upgradeOnce(t, server, n)
	}
	roosttest.WaitFor(t, "all to be back", connected(upgrades))
	for i := range staying {
		e2e.Notify(redis, fmt.Sprint("staying", i), `{"type":"last"}`)
	}
	roosttest.WaitFor(t, "all to be notified by the last process", func() bool { return got.Load() == staying })
	roosttest.WaitFor(t, "enough connects to say anything", func() bool { return connects.Load() >= 100 || t.Failed() })
	stop.Store(true)
	passing.Wait()
	e2e.SignalLast(server, syscall.SIGTERM)
	remaining.Wait()
	if code := server.Wait(); code != 0 {
		t.Errorf("the first process ended with %d", code)
	}
	if n := len(server.Log.Find("stopping", "why", "replaced by a new process")); n != upgrades {
		t.Errorf("%d processes were replaced, want %d", n, upgrades)
	}
	t.Logf("%d connects and %d health checks while %d upgrades went on", connects.Load(), scrapes.Load(), upgrades)
}

// upgradeOnce brings about the n-th upgrade. The process has to be asked again if the one before it was not quite gone.
func upgradeOnce(t *testing.T, server *roosttest.Server, n int) {
	t.Helper()
	e2e.AskUpgrade(t, server, func() bool { return len(server.Log.Find("stopped")) == n })
}

// A program that does not come up is no harm: the old process goes on, and says what happened.
func TestUpgradeThatFails(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	program := filepath.Join(t.TempDir(), "roost")
	broken := "#!/bin/sh\necho this program is broken >&2\nexit 3\n"
	if err := os.WriteFile(program, []byte(broken), 0o755); err != nil {
		t.Fatal(err)
	}
	// The server runs the program by the name that it was called as, so it is called as the broken program.
	server := roosttest.StartWrapped(t, redis, nil, "/bin/bash", "-c", fmt.Sprintf(`exec -a %q "$@"`, program), "bash")
	alice := server.Connect("alice")
	server.Signal(syscall.SIGUSR2)
	line := server.WaitLine("the upgrade failed, this process goes on")
	if got := line.Text("error"); !strings.Contains(got, "exit status 3") {
		t.Errorf("the log says %q", got)
	}
	e2e.Notify(redis, "alice", e2e.Numbered(1))
	alice.WaitMessages(1)
	server.Connect("bob")
	server.Signal(syscall.SIGUSR2) // may be tried again
	roosttest.WaitFor(t, "the second failure", func() bool { return len(server.Log.Find("the upgrade failed, this process goes on")) == 2 })
}

// A program that hangs holds the next upgrade up: the log says so, whom to end, and how long it takes otherwise.
func TestUpgradeThatHangs(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	program := filepath.Join(t.TempDir(), "roost")
	if err := os.WriteFile(program, []byte("#!/bin/sh\nexec sleep 100\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	server := roosttest.StartWrapped(t, redis, nil, "/bin/bash", "-c", fmt.Sprintf(`exec -a %q "$@"`, program), "bash")
	server.Signal(syscall.SIGUSR2)
	reminder := server.WaitLine("upgrading: the new process is not ready yet")
	server.Signal(syscall.SIGUSR2)
	line := server.WaitLine("SIGUSR2: an upgrade is under way; if it fails the next one begins. To give it up now, kill the new process")
	for _, l := range []roosttest.Line{reminder, line} {
		left, err := time.ParseDuration(l.Text("left"))
		if err != nil || left <= 0 || left > time.Minute {
			t.Errorf("the log says that %q are left", l.Text("left"))
		}
	}
	kill := func(n int) {
		pids := e2e.Children(server.Pid())
		if len(pids) != 1 {
			t.Fatalf("upgrade %d: the children are %v", n, pids)
		}
		if got := list(line, "new_process"); n == 1 && !slices.Equal(got, []string{fmt.Sprint(pids[0])}) {
			t.Errorf("the new process is %d, the log says %v", pids[0], got)
		}
		if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
			t.Error(err)
		}
		roosttest.WaitFor(t, "the failure", func() bool { return len(server.Log.Find("the upgrade failed, this process goes on")) == n })
	}
	kill(1)
	roosttest.WaitFor(t, "the second upgrade", func() bool { return len(e2e.Children(server.Pid())) == 1 })
	kill(2)
	server.Connect("alice")
}

// An upgrade that comes while the last one still lets connections go is told to wait.
func TestUpgradeDuringTheLastOne(t *testing.T) {
	t.Parallel()
	_, server := e2e.Start(t, roosttest.Env{"WS_UPGRADE": "drain", "WS_DRAIN_WINDOW": "10m", "WS_DRAIN_RATE": "0", "WS_SHUTDOWN_TIMEOUT": "11m"})
	e2e.EndLast(t, server)
	alice := server.Connect("alice")
	server.Signal(syscall.SIGUSR2)
	ready := server.WaitLine("the new process is ready")
	if got, want := list(ready, "new_process"), e2e.Children(server.Pid()); !slices.Equal(got, []string{fmt.Sprint(want[0])}) {
		t.Errorf("the new process is %v, the log says %v", want, got)
	}
	e2e.SignalLast(server, syscall.SIGUSR2)
	line := server.WaitLine("the upgrade failed, this process goes on")
	if got := line.Text("error"); !strings.Contains(got, "still lets its connections go (WS_DRAIN_WINDOW)") {
		t.Errorf("the log says %q", got)
	}
	alice.Close() // and so there is nobody left to wait for
	e2e.SignalLast(server, syscall.SIGTERM)
	if code := server.Wait(); code != 0 {
		t.Errorf("the first process ended with %d", code)
	}
}

// The supervisor follows the upgrade: it hears of the new process, whose watchdog goes on, and of no stop.
func TestUpgradeUnderASupervisor(t *testing.T) {
	t.Parallel()
	ear := supervise(t)
	// As systemd has it: the watchdog is meant for the process that it started.
	server := roosttest.StartWrapped(t, redistest.Start(t), ear.env, "/bin/bash", "-c", `export WATCHDOG_PID=$$; exec "$@"`, "bash")
	e2e.EndLast(t, server)
	ear.await(fmt.Sprintf("READY=1\nMAINPID=%d\n", server.Pid()))
	ear.await("WATCHDOG=1")
	var heard []string
	upgradeOnce(t, server, 1)
	next := fmt.Sprintf("MAINPID=%d\n", e2e.LastPid(server))
	for said := ""; !strings.Contains(said, next); heard = append(heard, said) {
		said = ear.await("")
	}
	heard = append(heard, ear.await("WATCHDOG=1"), ear.await("WATCHDOG=1"), ear.await("WATCHDOG=1")) // longer than it waits
	for _, said := range heard {
		if strings.Contains(said, "STOPPING") {
			t.Errorf("the supervisor hears %q", said)
		}
	}
	if e2e.LastPid(server) == server.Pid() {
		t.Error("the process is the same")
	}
	e2e.SignalLast(server, syscall.SIGTERM)
	ear.await("STOPPING=1")
}

// TestSocketActivation is given its sockets, as by systemd.
func TestSocketActivation(t *testing.T) {
	t.Parallel()
	redis, _ := e2e.Start(t, nil)
	for _, test := range []struct {
		name, names string
		sockets     int
		says        string
	}{
		{"both by name", "http:websocket", 2, ""},
		{"one without a name", "roost.socket", 1, ""},
		{"wrong names", "web:side", 2, "FileDescriptorName=websocket"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var files []*os.File
			var addrs []string
			for range test.sockets {
				ln, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				defer ln.Close()
				file, err := ln.(*net.TCPListener).File()
				if err != nil {
					t.Fatal(err)
				}
				defer file.Close()
				files, addrs = append(files, file), append(addrs, ln.Addr().String())
			}
			activate := []string{"/bin/bash", "-c", `export LISTEN_PID=$$; exec "$@"`, "bash"}
			env := roosttest.ServerEnv(redis, roosttest.Env{"LISTEN_FDS": strconv.Itoa(test.sockets), "LISTEN_FDNAMES": test.names})
			process := roosttest.Run(t, roosttest.Command{Wrap: activate, Env: env, Files: files})
			if test.says != "" {
				if code := process.Wait(); code != 1 || !strings.Contains(process.Stderr.String(), test.says) {
					t.Errorf("ended with %d, saying %s", code, process.Stderr.String())
				}
				return
			}
			server := roosttest.Serving(t, process)
			line := process.WaitLine("listening")
			if got := line.Text("websocket"); got != addrs[len(addrs)-1] {
				t.Errorf("listens on %s, want %s", got, addrs[len(addrs)-1])
			}
			if got := line.Text("http"); len(addrs) == 2 && got != addrs[0] {
				t.Errorf("the admin server listens on %s, want %s", got, addrs[0])
			}
			if err := connectOnce(t, server, "alice"); err != nil {
				t.Error(err)
			}
			if code := process.Stop(); code != 0 {
				t.Errorf("ended with %d", code)
			}
			// The socket is somebody else's: who comes now waits for the next process.
			conn, err := net.Dial("tcp", line.Text("websocket"))
			if err != nil {
				t.Errorf("after the end: %v", err)
			} else {
				_ = conn.Close()
			}
		})
	}
}

// drainWindow is how long a process drains that is replaced.
const drainWindow = 500 * time.Millisecond

// connect opens a connection. A handshake that lasts for as long as a process drains, on a busy machine, is begun with the process that goes
// and refused by it in the end, or gets no answer where its request comes later than that waits for it: it is tried again.
func connect(t *testing.T, server *roosttest.Server, user string) (*websocket.Conn, error) {
	dialer := websocket.Dialer{HandshakeTimeout: roosttest.Limit}
	for {
		begun := time.Now()
		conn, response, err := dialer.Dial(server.URL(roosttest.Token(t, user)), nil)
		refused := response == nil || response.StatusCode == http.StatusServiceUnavailable
		if err == nil || !refused || time.Since(begun) < drainWindow {
			return conn, err
		}
	}
}

// connectOnce opens a connection and leaves.
func connectOnce(t *testing.T, server *roosttest.Server, user string) error {
	conn, err := connect(t, server, user)
	if err != nil {
		return err
	}
	defer conn.Close()
	goodbye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	_ = conn.WriteControl(websocket.CloseMessage, goodbye, time.Now().Add(roosttest.Limit))
	_ = conn.SetReadDeadline(time.Now().Add(roosttest.Limit))
	for {
		if _, _, err := conn.ReadMessage(); err != nil {
			if websocket.IsCloseError(err, websocket.CloseNormalClosure, websocket.CloseGoingAway) {
				return nil
			}
			return err
		}
	}
}

// stay keeps a connection, and comes back whenever it is let go.
func stay(t *testing.T, server *roosttest.Server, user string, stop *atomic.Bool, present, returns, got *atomic.Int64) {
	for !stop.Load() {
		conn, err := connect(t, server, user)
		if err != nil {
			if !stop.Load() {
				t.Errorf("%s can't come back: %v", user, err)
			}
			return
		}
		roosttest.AnswerPings(conn)
		present.Add(1)
		for {
			if _, _, err = conn.ReadMessage(); err != nil {
				break
			}
			got.Add(1)
		}
		present.Add(-1)
		_ = conn.Close()
		if !stop.Load() && !websocket.IsCloseError(err, websocket.CloseGoingAway) {
			t.Errorf("%s was let go with %v", user, err)
		}
		returns.Add(1)
	}
}

// awaitNew waits for the new process's own line, which may come after those of the old one about it.
func awaitNew(t *testing.T, server *roosttest.Server) {
	t.Helper()
	roosttest.WaitFor(t, "the new process's line", func() bool { return e2e.LastPid(server) != server.Pid() })
}
