package deliver

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// The receivers of docs/webhooks.md take what Roost posts, and nothing else.
func TestDocumentedReceivers(t *testing.T) {
	t.Parallel()
	for _, receiver := range []struct {
		language, file, before string
		run                    func(file, port string) []string
	}{
		{"js", "receiver.mjs", "", func(file, port string) []string { return []string{"node", file} }},
		{"php", "receiver.php", "<?php\n", func(file, port string) []string { return []string{"php", "-S", "127.0.0.1:" + port, file} }},
	} {
		t.Run(receiver.language, func(t *testing.T) {
			t.Parallel()
			address := roosttest.FreeAddress(t)
			_, port, _ := net.SplitHostPort(address)
			file := filepath.Join(t.TempDir(), receiver.file)
			program := receiver.before + strings.Replace(webhookBlock(t, receiver.language), "listen(3000)", "listen("+port+")", 1)
			if err := os.WriteFile(file, []byte(program), 0o644); err != nil {
				t.Fatal(err)
			}
			run := receiver.run(file, port)
			if _, err := exec.LookPath(run[0]); err != nil {
				t.Skip(err)
			}
			process := roosttest.Run(t, roosttest.Command{Program: run[0], Args: run[1:], Env: roosttest.Env{"WEBHOOK_SECRET": webhookSecret}})
			said := func() string { return process.Log.String() + process.Stderr.String() }
			url := "http://" + address + "/hooks"
			post := func() (status int) {
				response, err := http.Post(url, "application/json", strings.NewReader(`[{"user":"mallory","type":"user.online"}]`))
				if err != nil {
					return 0
				}
				_ = response.Body.Close()
				return response.StatusCode
			}
			roosttest.WaitFor(t, "the receiver", func() bool { return post() != 0 })
			if status := post(); status != http.StatusUnauthorized {
				t.Errorf("without a signature: %d", status)
			}
			redis := redistest.Start(t)
			env := roosttest.Env{"WEBHOOK_URL": url, "WEBHOOK_SECRET": webhookSecret, "REDIS_PRESENCE": "true", "WEBHOOK_TIMEOUT": "1m"}
			server := roosttest.Start(t, redis, env)
			client := server.Connect("żółw")
			roosttest.WaitFor(t, "the first event", func() bool { return strings.Contains(said(), "żółw user.online 2") })
			client.Close()
			roosttest.WaitFor(t, "the second event", func() bool { return strings.Contains(said(), "żółw user.offline 2") })
			server.WaitMetric(`roost_webhook_events_total{fate="sent"}`, 2)
			if m := server.Metrics(); m[`roost_webhook_requests_total{result="ok"}`] != 2 || strings.Contains(said(), "mallory") {
				t.Errorf("requests %v, and it said %s", m.Sum("roost_webhook_requests_total"), said())
			}
		})
	}
}

// The variables of docs/webhooks.md are right, and its request is one that Roost posts, by its headers and members.
func TestDocumentedWebhook(t *testing.T) {
	t.Parallel()
	env := roosttest.Env{"JWT_SECRET_KEY": roosttest.Secret}
	for line := range strings.Lines(webhookBlock(t, "sh")) {
		assignment, _, _ := strings.Cut(line, "#")
		name, value, _ := strings.Cut(strings.TrimSpace(assignment), "=")
		env[name] = value
	}
	check := roosttest.Run(t, roosttest.Command{Args: []string{"config", "--check"}, Env: env})
	if code := check.Wait(); code != 0 || len(env) != 4 {
		t.Errorf("ended with %d: %s%s, of %v", code, check.Log, check.Stderr, env)
	}

	head, body, _ := strings.Cut(webhookBlock(t, "http"), "\n\n")
	documented := members(t, []byte(body))
	var names []string
	for line := range strings.Lines(head) {
		if name, _, is := strings.Cut(line, ": "); is {
			names = append(names, name)
		}
	}
	got := make(chan string, 1)
	posted := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		real, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		problem := ""
		for _, name := range names {
			if r.Header.Get(name) == "" {
				problem += " without " + name
			}
		}
		if m := members(t, real); !slices.Equal(m, documented) {
			problem += fmt.Sprintf(" with %q, documented are %q", m, documented)
		}
		select {
		case got <- problem:
		default:
		}
	}))
	t.Cleanup(posted.Close)
	env["WEBHOOK_URL"] = posted.URL
	server := roosttest.Start(t, redistest.Start(t), env)
	server.Connect("alice")
	if problem := <-got; problem != "" || len(names) != 5 {
		t.Errorf("a request%s; %d headers are documented", problem, len(names))
	}
}

// members are those of the first event of a body, in their order.
func members(t *testing.T, body []byte) (names []string) {
	t.Helper()
	var events []json.RawMessage
	if err := json.Unmarshal(body, &events); err != nil {
		t.Errorf("%s: %v", body, err)
		return nil
	}
	for _, m := range regexp.MustCompile(`"(\w+)":"`).FindAllSubmatch(events[0], -1) {
		names = append(names, string(m[1]))
	}
	return names
}

// webhookBlock is the block of docs/webhooks.md in a language.
func webhookBlock(t *testing.T, language string) string {
	t.Helper()
	for _, block := range e2e.Blocks(e2e.ReadDoc(t, "docs/webhooks.md")) {
		if block.Language == language {
			return block.Text
		}
	}
	t.Fatalf("docs/webhooks.md has nothing in %s", language)
	return ""
}
