//go:build linux

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// Notifications come from standard input and from files, all of them checked before the first is published.
func TestPublishFromInput(t *testing.T) {
	redis := redistest.Start(t)
	server := roosttest.Start(t, redis, nil)
	for name, value := range roosttest.ServerEnv(redis, nil) {
		t.Setenv(name, value)
	}
	alice := server.Connect("alice")
	publish := func(input string, args ...string) (code int, says string) {
		t.Helper()
		var out strings.Builder
		env := &environment{ctx: t.Context(), stdin: strings.NewReader(input), stdout: &out, stderr: &out, program: "roost"}
		code = run(env, args)
		return code, out.String()
	}
	if code, says := publish("{\"type\":\"a\"}\n{\"type\":\"b\",\n \"payload\":[1.0]}", "publish", "alice", "-"); code != 0 || !strings.HasPrefix(says, "published 2 notifications to alice on ") {
		t.Errorf("ends with %d, saying %s", code, says)
	}
	path := filepath.Join(t.TempDir(), "notes.json")
	if err := os.WriteFile(path, []byte(`{"type":"c"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, says := publish("", "publish", "--user", "alice", "@"+path); code != 0 || !strings.HasPrefix(says, "published to alice on ") {
		t.Errorf("ends with %d, saying %s", code, says)
	}
	if code, says := publish("", "broadcast", "@"+path); code != 0 || !strings.HasPrefix(says, "published to everyone on ") {
		t.Errorf("ends with %d, saying %s", code, says)
	}
	if code, says := publish(`{"type":"d"} {"type":"_e"}`, "publish", "alice", "-"); code != 2 || !strings.Contains(says, "standard input: notification 2: ") {
		t.Errorf("ends with %d, saying %s", code, says)
	}
	alice.WaitMessages(4)
	if got := types(t, alice); !slices.Equal(got, []string{"a", "b", "c", "c"}) {
		t.Errorf("alice got %q", got)
	}
}

// types are the types of what a client got.
func types(t *testing.T, c *roosttest.Client) (all []string) {
	t.Helper()
	for _, message := range c.Messages() {
		var envelope struct{ Type string }
		if err := json.Unmarshal([]byte(message), &envelope); err != nil {
			t.Fatalf("%s: %v", message, err)
		}
		all = append(all, envelope.Type)
	}
	return all
}
