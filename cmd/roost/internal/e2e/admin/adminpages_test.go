package admin

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/httpapi"
	"roost/redisfeed/redistest"
)

// /config and config --running tell what a server has and where each value is from, also after a reload, and no secret.
func TestRunningConfig(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "roost.env")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("WS_MAX_CONNECTIONS=77\nHTTP_TOKEN=0123456789abcdef0\n")
	redis := redistest.Start(t)
	server := roosttest.Start(t, redis, roosttest.Env{"ROOST_CONFIG_FILE": path})
	show := func(token string) (code int, says string) {
		t.Helper()
		command := roosttest.Run(t, roosttest.Command{Args: []string{"config", "--running", "--url", server.HTTP}, Env: roosttest.Env{"HTTP_TOKEN": token}})
		code = command.Wait()
		return code, command.Log.String() + command.Stderr.String()
	}
	if code, says := show(""); code != 1 || !strings.Contains(says, "HTTP_TOKEN of this server is needed") {
		t.Errorf("without the token it ends with %d, saying %s", code, says)
	}
	code, says := show("0123456789abcdef0")
	fields := strings.Fields(says)
	if code != 0 || strings.Contains(says, roosttest.Secret) || strings.Contains(says, "0123456789abcdef0") ||
		!strings.Contains(strings.Join(fields, " "), "WS_MAX_CONNECTIONS 77 "+path) || !strings.Contains(strings.Join(fields, " "), "JWT_SECRET_KEY ******** environment") {
		t.Errorf("it ends with %d, saying\n%s", code, says)
	}

	write("WS_MAX_CONNECTIONS=78\nHTTP_TOKEN=0123456789abcdef0\nWS_PING_INTERVAL=7s\n")
	server.Signal(syscall.SIGHUP)
	server.WaitLine("configuration reloaded")
	_, says = show("0123456789abcdef0")
	line := strings.Join(strings.Fields(says), " ")
	if !strings.Contains(line, "WS_MAX_CONNECTIONS 78 "+path) || !strings.Contains(line, "WS_PING_INTERVAL 30s "+path+"; another value waits for a restart") {
		t.Errorf("after a reload:\n%s", says)
	}
}

// /config is about this machine: without a token nobody else may see it.
func TestConfigPage(t *testing.T) {
	t.Parallel()
	_, server := e2e.Start(t, nil)
	var answer struct{ Variables []httpapi.Variable }
	code, body := server.Get("/config")
	if err := json.Unmarshal(body, &answer); code != 200 || err != nil {
		t.Fatalf("%d: %v", code, err)
	}
	at := slices.IndexFunc(answer.Variables, func(v httpapi.Variable) bool { return v.Name == "WS_PONG_WAIT" })
	if at < 0 || answer.Variables[at] != (httpapi.Variable{Name: "WS_PONG_WAIT", Value: "60s", Default: "60s", From: "default"}) {
		t.Errorf("%+v", answer.Variables)
	}
}

func TestHealthCommand(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, nil)
	health := func(args ...string) (code int, says string) {
		t.Helper()
		command := roosttest.Run(t, roosttest.Command{Args: append([]string{"health", "--url", server.HTTP}, args...)})
		code = command.Wait()
		return code, command.Log.String() + command.Stderr.String()
	}
	for _, tt := range []struct {
		args []string
		says string
	}{{nil, "healthy: 0 connections, Redis connected\n"}, {[]string{"--deep"}, "healthy: "}, {[]string{"--live"}, "\n"}, {[]string{"--json"}, `"status":"healthy"`}} {
		// A check has two seconds, for which a busy machine may stand still.
		roosttest.WaitFor(t, fmt.Sprintf("%q to say %s", tt.args, tt.says), func() bool {
			code, says := health(tt.args...)
			return code == 0 && strings.Contains(says, tt.says)
		})
	}
	redis.Kill()
	server.WaitLine("redis link lost")
	roosttest.WaitFor(t, "the health command to end with 1", func() bool { code, _ := health(); return code == 1 })
	if code, says := health("--live"); code != 0 {
		t.Errorf("a process that lives: %d, %s", code, says)
	}
}

// Several servers are asked one after the other, those that are silent are said, and Redis knows of more.
func TestWhyAsksSeveralServers(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	first, second := roosttest.Start(t, redis, nil), roosttest.Start(t, redis, nil)
	first.Connect("alice")
	second.Connect("alice")
	why := func(args ...string) (code int, says string) {
		t.Helper()
		command := roosttest.Run(t, roosttest.Command{Args: append([]string{"why", "alice"}, args...), Env: roosttest.ServerEnv(redis, nil)})
		code = command.Wait()
		return code, command.Log.String() + command.Stderr.String()
	}
	if code, says := why("--url", first.HTTP, "--url", second.HTTP); code != 0 || !strings.Contains(says, "== "+second.HTTP) ||
		!strings.HasSuffix(says, "alice has 2 connections to the 2 servers that answered\n") {
		t.Errorf("ends with %d, saying %s", code, says)
	}
	if code, says := why("--url", first.HTTP, "--url", "127.0.0.1:1"); code != 1 || !strings.Contains(says, "nothing listens on 127.0.0.1:1") ||
		!strings.Contains(says, "1 connection to the 1 server that answered") {
		t.Errorf("ends with %d, saying %s", code, says)
	}
	if code, says := why("--url", first.HTTP, "--all"); code != 0 || !strings.Contains(says, "2 servers are subscribed on ") || !strings.Contains(says, "so the question did not go to 1 of them") {
		t.Errorf("ends with %d, saying %s", code, says)
	}
	if code, says := why("--url", first.HTTP, "--url", second.HTTP, "--follow"); code != 2 || !strings.Contains(says, "--follow follows one server") {
		t.Errorf("ends with %d, saying %s", code, says)
	}
}
