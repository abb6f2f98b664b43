package commands

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

// steering is what a backend, or whoever publishes in its name, may put into JSON as it is, and what a terminal or a
// reader would take for something else.
const steering = "\u009b2J\u009d0;title\u0007\u202egpj.exe\u2066\u007f"

// checkSafe wants none of it in what a command printed.
func checkSafe(t *testing.T, what, printed string) {
	t.Helper()
	if i := strings.IndexFunc(printed, func(r rune) bool { return r < ' ' && r != '\n' || strings.ContainsRune(steering, r) && r > '~' }); i >= 0 {
		t.Errorf("%s printed %q", what, printed[i:min(i+40, len(printed))])
	}
}

// TestCommandsPrintNothingThatSteersATerminal publishes escape sequences, and looks at what commands and the log make of
// them.
func TestCommandsPrintNothingThatSteersATerminal(t *testing.T) {
	t.Parallel()
	text := strings.ReplaceAll(steering, "\u0007", "") // no JSON as it is
	redis, server := e2e.Start(t, nil)
	listener := roosttest.Run(t, roosttest.Command{
		Args: []string{"listen", "--url", "ws://" + server.WS + "/ws", "--token", roosttest.Token(t, "alice")},
	})
	server.WaitMetric("roost_connections", 1)
	server.Connect("bob" + strings.ReplaceAll(text, "\u007f", "")[len("\u009b2J\u009d0;title"):]) // a user id may turn writing around
	why := func(args ...string) string {
		p := roosttest.Run(t, roosttest.Command{Args: append([]string{"why", "alice", "--url", "http://" + server.HTTP}, args...)})
		if code := p.Wait(); code != 0 {
			t.Fatalf("why ended with %d: %s", code, p.Stderr.String())
		}
		return p.Log.String()
	}
	why()
	notification := "{\n\"type\": \"" + text + "\",\r\n\"payload\": \"" + text + "\"}"
	e2e.Notify(redis, "alice", notification)
	roosttest.WaitFor(t, "the notification", func() bool { return strings.Contains(listener.Log.String(), "\n") })
	printed := listener.Log.String()
	checkSafe(t, "listen", printed)
	var got, want struct{ Type, Payload string }
	if err := json.Unmarshal([]byte(printed), &got); err != nil || json.Unmarshal([]byte(notification), &want) != nil || got != want {
		t.Errorf("listen printed %q: %v, want a line of JSON that means the same", printed, err)
	}
	checkSafe(t, "why", why())
	asJSON := why("--json")
	checkSafe(t, "why --json", asJSON)
	if !json.Valid([]byte(asJSON)) {
		t.Errorf("why --json printed %q", asJSON)
	}
	e2e.Notify(redis, "alice", `{"type":5,"`+text+`":"`+text+`"}`) // is logged
	server.WaitMetric(`roost_notifications_invalid_total{reason="type_not_a_string"}`, 1)
	if code := server.Stop(); code != 0 {
		t.Errorf("ended with %d", code)
	}
	checkSafe(t, "the log", server.Log.String())
	if !strings.Contains(server.Log.String(), `\u202egpj.exe\u2066`) {
		t.Error("the log does not name bob")
	}
	if code := listener.Wait(); code != 1 {
		t.Errorf("listen ended with %d", code)
	}

}

// TestServersThatMeanHarm has commands talk to a server that answers with escape sequences.
func TestServersThatMeanHarm(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"error":"`+steering+`"}`+"\x1b[31m")
	}))
	t.Cleanup(server.Close)
	evil := server.Listener.Addr().String()
	for _, args := range [][]string{
		{"listen", "--url", "ws://" + evil + "/ws", "--token", "x"}, {"why", "alice", "--url", "http://" + evil},
	} {
		p := roosttest.Run(t, roosttest.Command{Args: args})
		if code := p.Wait(); code != 1 || !strings.Contains(p.Stderr.String(), "roost: ") {
			t.Errorf("%s ended with %d: %q", args[0], code, p.Stderr.String())
		}
		checkSafe(t, args[0], p.Log.String())
		checkSafe(t, args[0], p.Stderr.String())
	}
}
