package lifecycle

import (
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

func TestShutdown(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			redis, server := e2e.Start(t, roosttest.Env{"WS_SHUTDOWN_TIMEOUT": "10m"}) // nearly all of which those have who do not close
			var clients []*roosttest.Client
			for range 20 {
				clients = append(clients, server.Connect("alice"))
			}
			server.Dial() // has said nothing yet, and must not hold it up
			e2e.Notify(redis, "alice", e2e.Numbered(1))
			server.WaitMetric("roost_deliveries_accepted_total", 20)
			server.Signal(signal)
			for i, c := range clients {
				if code, text := c.WaitClose(); code != 1001 || text == "" {
					t.Errorf("connection %d closed with %d %q, want 1001", i, code, text)
				}
				if len(c.Messages()) != 1 {
					t.Errorf("connection %d got %q before it was closed", i, c.Messages())
				}
			}
			if code := server.Wait(); code != 0 {
				t.Errorf("ended with %d", code)
			}
			checkStopLog(t, server, len(clients))
		})
	}
}

// checkStopLog wants the lines of a stop in their order: the first says so, then come the connections, then the end.
func checkStopLog(t *testing.T, server *roosttest.Server, connections int) {
	t.Helper()
	var messages []string
	for _, line := range server.Log.Lines() {
		if line.Text("level") == "INFO" && line.Message() != "draining" { // where it takes more than a second
			messages = append(messages, line.Message()) // a busy machine is what warnings may be about
		}
	}
	var from int
	for i, message := range messages {
		if message == "stopping" {
			from = i
		}
	}
	want := append([]string{"stopping"}, make([]string, connections)...)
	for i := range connections {
		want[i+1] = "disconnected"
	}
	want = append(want, "delivered", "stopped")
	if got := strings.Join(messages[from:], ","); got != strings.Join(want, ",") {
		t.Errorf("logged %s", got)
	}
	if n := len(server.Log.Find("disconnected", "reason", "shutdown")); n != connections {
		t.Errorf("%d connections ended by the shutdown, want %d", n, connections)
	}
	if n := len(server.Log.Find("delivered", "sent", float64(connections), "failed", 0.0)); n != 1 {
		t.Error("the last count is wrong")
	}
}

// TestShutdownIsBounded has clients that do not close, and one that does not even read.
func TestShutdownIsBounded(t *testing.T) {
	t.Parallel()
	// The stuck one has to be there when all is published, and has WS_WRITE_WAIT from then on; nearly the whole shutdown has one that takes
	// a little now and then.
	redis, server := e2e.Start(t, roosttest.Env{"WS_WRITE_WAIT": "30s", "WS_SHUTDOWN_TIMEOUT": "10m"})
	silent := server.Dial()
	silent.MustUpgrade(roosttest.Token(t, "alice"))
	stuck := server.DialBuffered(4096)
	stuck.MustUpgrade(roosttest.Token(t, "bob"))
	large := `{"type":"large","payload":"` + strings.Repeat("x", 8<<10) + `"}`
	e2e.NotifyAll(t, redis, "bob", slices.Repeat([]string{large}, 50))
	server.WaitMetric("roost_deliveries_accepted_total", 50)
	if code := server.Stop(); code != 0 {
		t.Errorf("ended with %d", code)
	}
	if opcode, payload := silent.Frame(); opcode != 8 || len(payload) < 2 || payload[0] != 1001>>8 || payload[1] != 1001&0xff {
		t.Errorf("got opcode %d %q, want a close frame with 1001", opcode, payload)
	}
	line := server.WaitLine("delivered")
	sent, _ := line["sent"].(float64)
	failed, _ := line["failed"].(float64)
	if line["accepted"] != 50.0 || sent+failed != 50 || failed == 0 {
		t.Errorf("the last count is %v", line)
	}
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	_, server := e2e.Start(t, roosttest.Env{"WS_DRAIN_WINDOW": "10m", "WS_DRAIN_RATE": "0", "WS_SHUTDOWN_TIMEOUT": "11m"})
	server.Dial().MustUpgrade(roosttest.Token(t, "alice")) // keeps the drain going
	server.Signal(syscall.SIGTERM)
	server.WaitLine("stopping")
	begun := time.Now()
	// More than once: the first of these may find the handler not yet taken away.
	roosttest.WaitFor(t, "the end", func() bool { server.Signal(syscall.SIGTERM); return server.Exited() })
	if code := server.Wait(); code != -1 {
		t.Errorf("ended with %d after %s, not by the signal", code, time.Since(begun))
	}
	if len(server.Log.Find("stopped")) != 0 {
		t.Error("it stopped in order")
	}
}

func TestStopsBeforeRedisIsThere(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, roosttest.Env{"REDIS_FEED_RETRY_DELAY": "1m"})
	alice := server.Connect("alice")
	redis.Kill()
	server.WaitLine("redis link lost")
	server.Signal(os.Interrupt)
	if code, _ := alice.WaitClose(); code != 1001 {
		t.Errorf("closed with %d, want 1001", code)
	}
	if code := server.Wait(); code != 0 {
		t.Errorf("ended with %d", code)
	}
}
