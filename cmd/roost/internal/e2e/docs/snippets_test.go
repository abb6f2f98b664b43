package docs

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// language is how a snippet of the documentation is made a program and run.
type language struct {
	file          string // what the program is called
	before, after string // what the documentation leaves out
	run           string // by sh, in the directory of the file; $SNIPPETS is where scripts/snippets.sh installs
	needs         string // fails where something is missing; "" needs nothing that the tests don't
}

// languages are those of docs/publishing.md. redis-cli and Go are there wherever the tests run; the others are run where
// they are installed, and all of them by scripts/snippets.sh.
func languages() map[string]language {
	return map[string]language{
		"sh": {file: "publish.sh", run: "sh -e publish.sh"},
		"go": {
			file: "main.go",
			before: `package main

			import ("context"; "log"; "github.com/redis/go-redis/v9")

			func main() {
				ctx := context.Background()
		`,
			after: "if err != nil { log.Fatal(err) }\n}\n",
			run:   `file=$PWD/main.go; cd "$MODULE"; go run "$file"`,
		},
		"js": {
			file:   "publish.mjs",
			before: `import { createClient } from "redis";` + "\n", after: "process.exit();\n",
			run:   `ln -sfn "$SNIPPETS/node_modules" node_modules; node publish.mjs`,
			needs: `node --version && ls "$SNIPPETS/node_modules/redis"`,
		},
		"python": {
			file: "publish.py", before: "import json, redis\n",
			run:   "PATH=/usr/bin:$PATH python3 publish.py",
			needs: "PATH=/usr/bin:$PATH python3 -c 'import redis'",
		},
		"php": {
			file: "publish.php", before: "<?php\n",
			run:   "php publish.php",
			needs: `php -r 'exit(extension_loaded("redis") ? 0 : 1);'`,
		},
		"java": {
			file:   "Publish.java",
			before: "import redis.clients.jedis.Jedis;\nclass Publish { public static void main(String[] arguments) {\n", after: "}}\n",
			run:   `java -cp "$SNIPPETS/java/*" Publish.java`,
			needs: `java -version && ls "$SNIPPETS"/java/*.jar`,
		},
	}
}

// snippetSections are the headings of docs/publishing.md whose blocks are programs.
var snippetSections = []string{"## In your language", "## For everyone, or for a group", "## One connection, or all but one", "## Groups while connected", "## Disconnect a user"}

// TestSnippets runs what docs/publishing.md has under these headings, as it stands there.
func TestSnippets(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a program")
	}
	t.Parallel()
	redis, server := e2e.Start(t, nil)
	seen, text := map[string]bool{}, ""
	for _, heading := range snippetSections {
		text += e2e.Section(t, e2e.ReadDoc(t, "docs/publishing.md"), heading)
	}
	for _, block := range e2e.Blocks(text) {
		seen[block.Language] = true
		t.Run(block.Language, func(t *testing.T) {
			alice := server.As(t).Connect("alice")
			runSnippet(t, languages(), onRedis(redis), block)
			if strings.Contains(block.Text, `"join":["room:42"]`) {
				redis.Publish("group_noti:room:42", `{"type":"greeting","payload":{"text":"hello"}}`)
			} else if strings.Contains(block.Text, "user_ctl:alice") {
				if code, reason := alice.WaitClose(); code != 4403 || reason != "signed out" {
					t.Errorf("the connection ended with %d %q", code, reason)
				}
				return
			}
			if got := alice.WaitMessages(1)[0]; !greets(got) {
				t.Errorf("alice got %s", got)
			}
		})
	}
	for name := range languages() {
		if !seen[name] {
			t.Errorf("docs/publishing.md has nothing in %s", name)
		}
	}
}

// httpSection has the programs that publish over HTTP.
const httpSection = "## Over HTTP"

// onRedis has a program find the test's Redis.
func onRedis(redis *redistest.Server) *strings.Replacer {
	port := strconv.Itoa(redis.Port())
	cli := "redis-cli -h " + redis.Host() + " -p " + port + " "
	return strings.NewReplacer("redis-cli ", cli, "localhost", redis.Host(), "6379", port)
}

// httpLanguages are those of docs/publishing.md that publish over HTTP.
func httpLanguages() map[string]language {
	return map[string]language{
		"sh":     {file: "publish.sh", run: "sh -e publish.sh", needs: "curl --version"},
		"php":    {file: "publish.php", before: "<?php\n", run: "php publish.php", needs: "php --version"},
		"python": {file: "publish.py", run: "PATH=/usr/bin:$PATH python3 publish.py", needs: "PATH=/usr/bin:$PATH python3 --version"},
	}
}

// TestSnippetsOverHTTP runs what docs/publishing.md has for backends without a Redis client, as it stands there.
func TestSnippetsOverHTTP(t *testing.T) {
	t.Parallel()
	const token = "0123456789abcdef"
	redis, server := e2e.Start(t, roosttest.Env{"HTTP_TOKEN": token})
	at := strings.NewReplacer("localhost:8082", server.HTTP, "$HTTP_TOKEN", token, "getenv('HTTP_TOKEN')", "'"+token+"'", `os.environ["HTTP_TOKEN"]`, `"`+token+`"`)
	seen := map[string]bool{}
	for _, block := range e2e.Blocks(e2e.Section(t, e2e.ReadDoc(t, "docs/publishing.md"), httpSection)) {
		if block.Language == "json" {
			continue
		}
		seen[block.Language] = true
		t.Run(block.Language, func(t *testing.T) {
			alice := server.As(t).Connect("alice")
			runSnippet(t, httpLanguages(), at, block)
			if got := alice.WaitMessages(1)[0]; !greets(got) {
				t.Errorf("alice got %s", got)
			}
			if strings.Contains(block.Text, "Idempotency-Key") {
				runSnippet(t, httpLanguages(), at, block)
				redis.Publish("user_noti:alice", `{"type":"end"}`)
				if got := alice.WaitMessages(2)[1]; greets(got) {
					t.Error("sent again, alice got it again")
				}
			}
		})
	}
	for name := range httpLanguages() {
		if !seen[name] {
			t.Errorf("docs/publishing.md publishes over HTTP with nothing in %s", name)
		}
	}
}

// greets reports whether a message is the greeting of the documentation.
func greets(message string) bool {
	const want = `{"type":"greeting","payload":{"text":"hello"},"timestamp":"`
	return strings.HasPrefix(strings.ReplaceAll(message, `": `, `":`), want) // as Python spaces it
}

// runSnippet makes a program of a block, which at has find the test's servers where the documentation has those on the usual
// ports, and runs it.
func runSnippet(t *testing.T, known map[string]language, at *strings.Replacer, block e2e.Block) {
	t.Helper()
	l, ok := known[block.Language]
	if !ok {
		t.Fatalf("nobody knows how to run %q:\n%s", block.Language, block.Text)
	}
	dir, text := t.TempDir(), at.Replace(block.Text)
	if err := os.WriteFile(filepath.Join(dir, l.file), []byte(l.before+text+l.after), 0o600); err != nil {
		t.Fatal(err)
	}
	if l.needs != "" {
		if output, err := inShell(t, dir, l.needs); err != nil {
			if os.Getenv("SNIPPETS_ALL") != "" {
				t.Fatalf("%s: %v\n%s", l.needs, err, output)
			}
			t.Skipf("not installed, run scripts/snippets.sh: %s: %v", l.needs, err)
		}
	}
	output, err := inShell(t, dir, l.run)
	if err != nil {
		t.Fatalf("%s: %v\n%s", l.run, err, output)
	}
	t.Logf("ran, saying %q", output)
}

func inShell(t *testing.T, dir, script string) (output string, err error) {
	t.Helper()
	module, err := filepath.Abs(e2e.Root)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "sh", "-c", script)
	command.Dir = dir
	snippets := cmp.Or(os.Getenv("SNIPPETS"), filepath.Join(module, "bin", "snippets"))
	command.Env = append(os.Environ(), "MODULE="+module, "SNIPPETS="+snippets)
	out, err := command.CombinedOutput()
	return string(out), err
}
