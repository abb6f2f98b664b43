package commands

import (
	"syscall"
	"testing"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

// TestStuckLogReader logs more than pipe and buffer hold while nobody reads.
func TestStuckLogReader(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, roosttest.Env{"WS_MODE": "debug", "WS_MESSAGE_RATE": "0"})
	alice := server.Connect("alice")
	server.WaitLine("connected")
	release := server.Log.Hold()
	t.Cleanup(release)

	dropped := func() float64 { return server.Metrics()["roost_log_lines_dropped_total"] }
	roosttest.WaitFor(t, "lines to be dropped", func() bool {
		for range 1000 {
			alice.Send("each message is a line")
		}
		return dropped() > 0
	})
	bob := server.Connect("bob")
	for n := range 100 {
		e2e.Notify(redis, "alice", e2e.Numbered(n))
		e2e.Notify(redis, "bob", e2e.Numbered(n))
	}
	alice.WaitMessages(100)
	bob.WaitMessages(100)
	alice.Ping("still read?")
	roosttest.WaitFor(t, "the pong", func() bool { return len(alice.Pongs()) == 1 })

	release()
	server.WaitLine("log lines left out: they came faster than they were read")
	alice.Close()
	server.WaitLine("disconnected", "user_id", "alice")
}

// TestDeadLogReader has a broken pipe for a standard output.
func TestDeadLogReader(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, nil)
	alice := server.Connect("alice")
	server.Log.Break()
	roosttest.WaitFor(t, "lines to be dropped", func() bool {
		server.Connect("bob").Close() // two lines: the first ones may still be read
		return server.Metrics()["roost_log_lines_dropped_total"] > 0
	})
	e2e.Notify(redis, "alice", e2e.Numbered(1))
	alice.WaitMessages(1)
	server.Signal(syscall.SIGTERM)
	if code, _ := alice.WaitClose(); code != 1001 {
		t.Errorf("closed with %d", code)
	}
	if code := server.Wait(); code != 0 {
		t.Errorf("ended with %d", code)
	}
}
