package lifecycle

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// awaitMain waits until a process that was just started is in main, which ignores SIGPIPE right after it has caught the
// signals.
func awaitMain(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(roosttest.Limit); time.Now().Before(deadline); {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(status), "\nSigIgn:")
		text, _, _ := strings.Cut(rest, "\n")
		ignored, err := strconv.ParseUint(strings.TrimSpace(text), 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		if ignored&(1<<(syscall.SIGPIPE-1)) != 0 {
			return
		}
	}
	t.Fatal("the process does not get to main")
}

// A signal that comes before anything is ready is obeyed later, and does not end the process.
func TestSignalsThatComeEarly(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	process := roosttest.Run(t, roosttest.Command{Env: roosttest.ServerEnv(redis, nil)})
	awaitMain(t, process.Pid())
	process.Signal(syscall.SIGHUP)
	process.Signal(syscall.SIGUSR2)
	server := roosttest.Serving(t, process)
	e2e.EndLast(t, server)
	server.WaitLine("configuration reloaded")
	e2e.AwaitReady(t, server)
	awaitNew(t, server)
	server.Connect("alice")
	e2e.SignalLast(server, syscall.SIGTERM)
	if code := server.Wait(); code != 0 {
		t.Errorf("ended with %d", code)
	}
}

// Signals that come while a server stops, or in its very last moments, change nothing about how it ends.
func TestSignalsThatComeLate(t *testing.T) {
	t.Parallel()
	_, server := e2e.Start(t, roosttest.Env{"WS_HANDSHAKE_TIMEOUT": "5m", "WS_SHUTDOWN_TIMEOUT": "10m"})
	const part = "GET /ws HTTP/1.1\r\n"
	unfinished := server.Dial() // has the stop wait
	unfinished.Send(part)
	server.WaitMetric("roost_received_bytes_total", float64(len(part)))
	server.Signal(syscall.SIGTERM)
	server.WaitLine("stopping")
	for sig, line := range map[syscall.Signal]string{
		syscall.SIGHUP: "SIGHUP: nothing is reloaded, the service stops", syscall.SIGUSR2: "SIGUSR2: no upgrade, the service stops",
	} {
		server.Signal(sig)
		server.WaitLine(line)
	}
	_ = unfinished.Close()
	pace := time.NewTicker(500 * time.Microsecond) // so that signals are not all that it does: each is a line, which is waited for
	defer pace.Stop()
	for deadline := time.Now().Add(roosttest.Limit); !server.Exited() && time.Now().Before(deadline); <-pace.C {
		server.Signal(syscall.SIGHUP)
		server.Signal(syscall.SIGUSR2)
	}
	if code := server.Wait(); code != 0 {
		t.Errorf("ended with %d, want 0", code)
	}
	if len(server.Log.Find("stopped")) != 1 {
		t.Error("it did not stop in order")
	}
}

// Commands that don't serve end with their terminal, as other programs do.
func TestHangUpEndsOtherCommands(t *testing.T) {
	if signal.Ignored(syscall.SIGHUP) {
		t.Skip("these tests run under nohup, and so would the command")
	}
	t.Parallel()
	_, server := e2e.Start(t, nil)
	listener := roosttest.Run(t, roosttest.Command{
		Args: []string{"listen", "--url", "ws://" + server.WS + "/ws", "--user", "alice"},
		Env:  roosttest.Env{"JWT_SECRET_KEY": roosttest.Secret},
	})
	awaitMain(t, listener.Pid())
	listener.Signal(syscall.SIGHUP)
	listener.Wait()
	if ended := listener.EndedBy(); ended != syscall.SIGHUP {
		t.Errorf("ended by %v", ended)
	}
}

// The old process of an upgrade that is told once more to upgrade goes on letting its connections go.
func TestUpgradeOfAReplacedProcess(t *testing.T) {
	t.Parallel()
	redis, server, alice := startDraining(t)
	server.Signal(syscall.SIGUSR2)
	server.WaitLine("SIGUSR2: no upgrade, the service stops")
	server.Signal(syscall.SIGHUP)
	server.WaitLine("SIGHUP: nothing is reloaded, the service stops")
	e2e.Notify(redis, "alice", e2e.Numbered(1))
	alice.WaitMessages(1)
	alice.Close() // and so there is nobody left to wait for
	e2e.SignalLast(server, syscall.SIGTERM)
	if code := server.Wait(); code != 0 {
		t.Errorf("ended with %d", code)
	}
}

// As a container's first process: the container would end with the old process.
func TestNoUpgradeAsTheFirstProcess(t *testing.T) {
	t.Parallel()
	if said, err := exec.Command("unshare", "--pid", "--fork", "true").CombinedOutput(); err != nil {
		t.Skipf("no pid namespace can be made here: %v: %s", err, said)
	}
	redis := redistest.Start(t)
	server := roosttest.StartWrapped(t, redis, nil, "unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
	first := e2e.Children(server.Pid())[0]
	kill := func(sig syscall.Signal) {
		if err := syscall.Kill(first, sig); err != nil {
			t.Error(err)
		}
	}
	kill(syscall.SIGUSR2)
	line := server.WaitLine("SIGUSR2: no upgrade, since the end of this process would end the new one too; replace the container instead")
	if got := line.Text("reason"); !strings.Contains(got, "pid 1") {
		t.Errorf("the reason is %q", got)
	}
	server.Connect("alice")
	kill(syscall.SIGTERM)
	if code := server.Wait(); code != 0 || len(server.Log.Find("stopped")) != 1 {
		t.Errorf("ended with %d", code)
	}
}
