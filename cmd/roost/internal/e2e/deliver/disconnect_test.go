package deliver

import (
	"strings"
	"testing"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

func TestDisconnectOnEveryInstance(t *testing.T) {
	t.Parallel()
	redis, one := e2e.Start(t, nil)
	two := roosttest.Start(t, redis, nil)
	alice := []*roosttest.Client{one.Connect("alice"), one.Connect("alice"), two.Connect("alice")}
	bob := []*roosttest.Client{one.Connect("bob"), two.Connect("bob")}

	const before = 20
	for n := range before {
		e2e.Notify(redis, "alice", e2e.Numbered(n))
	}
	if heard := redis.Publish("user_ctl:alice", `{"disconnect":{"code":4001,"reason":"signed out"}}`); heard != 2 {
		t.Errorf("%d instances heard it, want 2", heard)
	}
	e2e.Notify(redis, "alice", e2e.Numbered(before)) // behind the door
	for i, c := range alice {
		if code, text := c.WaitClose(); code != 4001 || text != "signed out" {
			t.Errorf("connection %d ended with %d %q", i, code, text)
		}
		if got := c.Messages(); len(got) != before {
			t.Errorf("connection %d got %d notifications, want %d", i, len(got), before)
		}
	}
	e2e.Notify(redis, "bob", e2e.Numbered(0))
	for i, c := range bob {
		if c.WaitMessages(1); c.Ended() {
			t.Errorf("connection %d of bob has ended", i)
		}
	}
	for server, ended := range map[*roosttest.Server]float64{one: 2, two: 1} {
		server.WaitMetric(`roost_connections_closed_total{reason="disconnected"}`, ended)
		server.WaitMetric("roost_commands_total", 1)
		server.WaitMetric("roost_connections", 1)
		server.WaitLine("disconnected", "user_id", "alice", "reason", "disconnected")
	}
	again := one.Connect("alice") // shown the door, not locked out
	e2e.Notify(redis, "alice", e2e.Numbered(1))
	again.WaitMessages(1)
}

func TestInvalidCommandsAreHarmless(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, nil)
	alice := server.Connect("alice")
	invalid := []string{"", "nonsense", "{}", `{"disconnect":false}`, `{"type":"a","payload":"disconnect"}`}
	for _, command := range invalid {
		redis.Publish("user_ctl:alice", command)
	}
	redis.Publish("user_ctl:Alice", `{"disconnect":{}}`)
	for _, user := range []string{"", strings.Repeat("x", 10_000), "a\tb"} {
		redis.Publish("user_ctl:"+user, `{"disconnect":{}}`)
		invalid = append(invalid, user)
	}
	e2e.Notify(redis, "alice", e2e.Numbered(1)) // comes after all of them
	alice.WaitMessages(1)
	metrics := server.Metrics()
	if n := metrics["roost_commands_invalid_total"]; n != float64(len(invalid)) {
		t.Errorf("%v are counted as invalid, want %d", n, len(invalid))
	}
	if n := metrics["roost_commands_total"]; n != 1 {
		t.Errorf("%v are counted as done, want 1", n)
	}
	for _, line := range server.Log.Find("command skipped") {
		if len(line.Text("user_id")) > 255 {
			t.Errorf("a line has a user of %d bytes", len(line.Text("user_id")))
		}
	}
	if alice.Ended() {
		t.Error("alice was disconnected")
	}
	server.WaitLine("command skipped", "reason", "not JSON, and without the word disconnect", "user_id", "alice")
}

// TestCommandsWithFaultsDisconnect: whoever is to be cut off is, whatever the backend has written around it.
func TestCommandsWithFaultsDisconnect(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, nil)
	tests := []struct {
		command string
		code    int
		text    string
	}{
		{`{"disconnect":{"reason":"` + strings.Repeat("ä", 100) + `"}}`, 4403, strings.Repeat("ä", 61)},
		{`{"disconnect":{"code":"4001","reason":"out"}}`, 4403, "out"},
		{`{"disconnect":{"code":1006}}`, 4403, "disconnected"},
		{`{"disconnect":null}`, 4403, "disconnected"},
		{`{"disconnect":{"code":4001,"why":null},"at":7}`, 4001, "disconnected"},
		{`{"Disconnect":{"Code":4001}}`, 4001, "disconnected"},
		{"\ufeff" + `{"disconnect":{"code":4000,"code":4001}} x`, 4001, "disconnected"},
		{"{\"disconnect\":{\"reason\":\"\xff\"}}", 4403, "\ufffd"},
		{`{"disconnect":{"reason":"said "no""}}`, 4403, "disconnected"},
	}
	for _, test := range tests {
		alice := server.Connect("alice")
		redis.Publish("user_ctl:alice", test.command)
		if code, text := alice.WaitClose(); code != test.code || text != test.text {
			t.Errorf("%s: ended with %d %q, want %d %q", test.command, code, text, test.code, test.text)
		}
	}
	metrics := server.Metrics()
	if metrics["roost_commands_total"] != float64(len(tests)) || metrics["roost_commands_invalid_total"] != 0 {
		t.Errorf("%v are counted as done, and %v as invalid", metrics["roost_commands_total"], metrics["roost_commands_invalid_total"])
	}
	server.WaitLine("command has faults; the user is disconnected all the same", "user_id", "alice", "reason", `"reason" has more than 123 bytes`)
}

func TestDisconnectCommand(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, nil)
	env := roosttest.ServerEnv(redis, nil)
	tests := []struct {
		args []string
		code int
		text string
	}{
		{nil, 4403, "disconnected"},
		{[]string{"--code", "1008", "--reason", `"<bye>" ä`}, 1008, `"<bye>" ä`},
	}
	for _, test := range tests {
		alice := server.Connect("alice")
		command := roosttest.Run(t, roosttest.Command{Args: append([]string{"disconnect", "alice"}, test.args...), Env: env})
		if code := command.Wait(); code != 0 || !strings.Contains(command.Log.String(), "1 server got it from Redis") {
			t.Errorf("%q ended with %d, saying %q", test.args, code, command.Log.String()+command.Stderr.String())
		}
		if code, text := alice.WaitClose(); code != test.code || text != test.text {
			t.Errorf("%q: alice's connection ended with %d %q", test.args, code, text)
		}
	}
	for says, args := range map[string][]string{
		"1000, 1008":  {"alice", "--code", "1001"},
		"123 bytes":   {"alice", "--reason", strings.Repeat("x", 124)},
		"which user?": {"", "--code", "4000"},
	} {
		command := roosttest.Run(t, roosttest.Command{Args: append([]string{"disconnect"}, args...), Env: env})
		if code := command.Wait(); code != 2 || !strings.Contains(command.Stderr.String(), says) {
			t.Errorf("%q ended with %d, saying %q; want %q in it", args, code, command.Stderr.String(), says)
		}
	}
	if n := server.Metrics()["roost_commands_invalid_total"]; n != 0 {
		t.Errorf("%v invalid commands were published", n)
	}
}
