package admin

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

// TestWhy asks as an operator would, while each thing happens that explains why nothing arrives.
func TestWhy(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, nil)
	why := func(args ...string) (code int, says string) {
		args = append([]string{"why", "alice", "--url", "http://" + server.HTTP}, args...)
		command := roosttest.Run(t, roosttest.Command{Args: args})
		code = command.Wait()
		return code, command.Log.String() + command.Stderr.String()
	}
	// What has happened may be noted a moment later than it is seen: a client reads a notification before the loop knows that it is sent.
	expect := func(what ...string) {
		t.Helper()
		roosttest.WaitFor(t, fmt.Sprintf("roost why to say %q", what), func() bool {
			code, says := why()
			if code != 0 {
				t.Fatalf("ended with %d, saying %s", code, says)
			}
			lacks := func(part string) bool { return !strings.Contains(says, part) }
			return !slices.ContainsFunc(what, lacks)
		})
	}
	expect("no connection to this server", "connections: 0", ": 0\n")
	e2e.Notify(redis, "alice", e2e.Numbered(1))
	server.WaitMetric("roost_notifications_offline_total", 1)
	expect("1 notification came", "offline")

	alice := server.Connect("alice")
	redis.Publish("user_noti:alice", "nonsense")
	server.WaitMetric(`roost_notifications_invalid_total{reason="invalid_json"}`, 1)
	expect("skipped for its content: invalid_json", "connections: 1", "127.0.0.1:")
	redis.Publish("user_noti:alice", `{"type":"greeting","payload":"a secret thing"}`)
	alice.WaitMessages(1)
	expect("left for all connections that were open (1)", `"greeting"`, "sent to 1 of 1")
	if _, says := why("--json"); strings.Contains(says, "secret") || !strings.Contains(says, `"outcome":"sent"`) {
		t.Errorf("as JSON: %s", says)
	}
	redis.Kill()
	server.WaitLine("redis link lost")
	expect("not connected to Redis since")
}

func TestWhyFollows(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, nil)
	alice := server.Connect("alice")
	command := roosttest.Run(t, roosttest.Command{Args: []string{"why", "alice", "--follow", "--url", "http://" + server.HTTP}})
	roosttest.WaitFor(t, "the first look", func() bool { return strings.Contains(command.Log.String(), "watched until") })
	redis.Publish("user_noti:alice", `{"type":"greeting"}`)
	alice.WaitMessages(1)
	roosttest.WaitFor(t, "the notification", func() bool {
		return strings.Contains(command.Log.String(), `sent  19 bytes  "greeting"  sent to 1 of 1`)
	})
	command.Signal(os.Interrupt)
	if code := command.Wait(); code != 0 {
		t.Errorf("ended with %d", code)
	}
}

func TestWhyMistakes(t *testing.T) {
	t.Parallel()
	_, server := e2e.Start(t, roosttest.Env{"HTTP_TOKEN": "0123456789abcdef"})
	for _, tt := range []struct {
		args  []string
		token string
		code  int
		says  string
	}{
		{[]string{""}, "", 2, "which user?"},
		{[]string{"alice", "--url", "redis://localhost"}, "", 2, "http or https"},
		{[]string{"alice", "--url", "http://127.0.0.1:1"}, "", 1, "HTTP_PORT"},
		{[]string{"alice", "--url", "http://" + server.HTTP}, "", 1, "401 Unauthorized: Authorization: Bearer with the HTTP_TOKEN"},
		{[]string{"alice", "--url", "http://" + server.HTTP}, "0123456789abcdef", 0, "connections: 0"},
	} {
		command := roosttest.Run(t, roosttest.Command{Args: append([]string{"why"}, tt.args...), Env: roosttest.Env{"HTTP_TOKEN": tt.token}})
		if code := command.Wait(); code != tt.code || !strings.Contains(command.Log.String()+command.Stderr.String(), tt.says) {
			t.Errorf("%q: %d, %s%s; want %d and %q in it", tt.args, code, command.Log.String(), command.Stderr.String(), tt.code, tt.says)
		}
	}
}
