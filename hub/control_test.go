package hub

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"roost/wsproto"
)

func TestControlReachesEveryConnectionOfTheUserOnly(t *testing.T) {
	t.Parallel()
	h := New(Config{Logger: quiet()})
	one, bob := mustAdmit(t, h, "one"), mustAdmit(t, h, "bob")
	alice := []*fakeConn{mustAdmit(t, h, "alice"), mustAdmit(t, h, "alice"), mustAdmit(t, h, "alice")}
	h.Control("one", `{"disconnect":{}}`)
	h.Control("alice", `{"disconnect":{"code":4000,"reason":"out"}}`)
	h.Control("nobody", `{"disconnect":{}}`)
	for i, c := range alice {
		if got := c.told(); fmt.Sprint(got) != "[{4000 out}]" {
			t.Errorf("connection %d of alice was told %v", i, got)
		}
	}
	if got := one.told(); fmt.Sprint(got) != "[{4403 disconnected}]" {
		t.Errorf("one was told %v", got)
	}
	if got := bob.told(); len(got) != 0 {
		t.Errorf("bob was told %v", got)
	}
	if s := h.Stats(); s.Commands != 3 || s.CommandsInvalid != 0 || s.Received != 0 || s.Connections != 1 || s.Users != 1 {
		t.Errorf("stats %+v", s)
	}
	h.Deliver("alice", `{"type":"late"}`)
	for _, c := range alice {
		if total, ofUser := h.Remove(c); c.count() != 0 || total != 1 || ofUser != 0 { // its loop gets to it
			t.Errorf("%d notifications behind the command; %d connections, %d of alice", c.count(), total, ofUser)
		}
	}
}

// TestControlIsDoneInSpiteOfFaults: one who is to be cut off is, and the log says what was wrong, a few times.
func TestControlIsDoneInSpiteOfFaults(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	h := New(Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	const times = 100
	for range times {
		alice := mustAdmit(t, h, "alice")
		h.Control("alice", `{"disconnect":{"code":"4001","reason":"secret","x":null}}`)
		if got := alice.told(); fmt.Sprint(got) != "[{4403 secret}]" {
			t.Fatalf("alice was told %v", got)
		}
	}
	if s := h.Stats(); s.Commands != times || s.CommandsInvalid != 0 || s.Connections != 0 {
		t.Errorf("stats %+v", s)
	}
	lines := strings.Count(log.String(), "command has faults")
	if lines < 1 || lines > 50 || !strings.Contains(log.String(), "user_id=alice") || strings.Contains(log.String(), "secret") ||
		!strings.Contains(log.String(), "from 3000 to 4999; a member that is none of") {
		t.Errorf("%d lines:\n%s", lines, log.String())
	}
}

func TestControlLeavesOutWhatItDoesNotUnderstand(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	h := New(Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	alice, probe := mustAdmit(t, h, "alice"), mustAdmit(t, h, "\x00probe")
	for range 100 {
		h.Control("alice", `{"secret":{}}`)
	}
	h.Control("\x00probe", `{"disconnect":{}}`)
	h.Control("\x00probe", `nonsense`)
	if s := h.Stats(); s.Commands != 0 || s.CommandsInvalid != 100 {
		t.Errorf("stats %+v", s)
	}
	if len(alice.told()) != 0 || len(probe.told()) != 0 {
		t.Errorf("alice was told %v, the probe %v", alice.told(), probe.told())
	}
	lines := strings.Count(log.String(), "command skipped")
	if lines < 1 || lines > 50 || !strings.Contains(log.String(), "user_id=alice") || strings.Contains(log.String(), "secret") {
		t.Errorf("%d lines:\n%s", lines, log.String())
	}
}

// closing is how a connection was told to end.
type closing struct {
	code   wsproto.CloseCode
	reason string
}

// Disconnect implements Conn.
func (c *fakeConn) Disconnect(code wsproto.CloseCode, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.disconnects = append(c.disconnects, closing{code, reason})
}

// told returns the commands that reached the connection.
func (c *fakeConn) told() []closing {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.disconnects
}
