package docs

import (
	"fmt"
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

// TestReadme does what README and the pages under docs say, block by block. A block that nothing knows fails it.
func TestReadme(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob(e2e.Root + "/docs/*.md")
	if err != nil || len(pages) < 10 {
		t.Fatalf("%q: %v", pages, err)
	}
	for _, page := range append(pages, e2e.Root+"/README.md") {
		name := strings.TrimPrefix(page, e2e.Root+"/")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, block := range e2e.Blocks(e2e.ReadDoc(t, name)) {
				if ranElsewhere(t, name, block) {
					continue
				}
				t.Run(fmt.Sprintf("%s %.20s", block.Language, block.Text), func(t *testing.T) {
					t.Parallel()
					runBlock(t, block)
				})
			}
		})
	}
}

// ranElsewhere says whether another test runs a block of a page.
func ranElsewhere(t *testing.T, page string, block e2e.Block) bool {
	t.Helper()
	switch page {
	case "docs/frontend.md":
		return true // TestClient and the tests of client/
	case "docs/operations.md", "docs/deploy.md":
		return block.Language == "sh" || block.Language == "yaml" // TestOperationsCommands, TestKubernetesManifest
	case "docs/publishing.md":
		for _, heading := range append(snippetSections, httpSection, laravelSection) {
			if strings.Contains(e2e.Section(t, e2e.ReadDoc(t, page), heading), block.Text) {
				return true // TestSnippets, TestSnippetsOverHTTP, TestLaravelAndPusher
			}
		}
	case "docs/webhooks.md":
		return true // TestDocumentedReceivers, TestDocumentedWebhook
	case "docs/clients.md", "docs/connecting.md":
		return block.Language == "js" // TestDocumentedWebSocketResumes, TestDocumentedRenewal, TestDocumentedEventSource
	case "docs/configuration.md":
		return strings.Contains(block.Text, "kill -HUP") // TestReload, with a process that may be signalled
	case "docs/reliability.md":
		return block.Language == "text" // what scripts/soak printed
	}
	return false
}

// runBlock does what a block says, and wants what it shows.
func runBlock(t *testing.T, block e2e.Block) {
	switch {
	case block.Language == "html": // TestClient runs it
	case block.Language == "jsx": // TestQuickstartInReact runs it
	case strings.Contains(block.Text, "helm install"):
		t.Skip("needs Kubernetes")
	case strings.HasPrefix(block.Text, "curl -N"):
		readmeListensWithCurl(t, block)
	case block.Language == "json": // an envelope, which readmePublishes wants
	case block.Language == "text":
		demoPrints(t, block)
	case strings.Contains(block.Text, "docker compose"):
		t.Skip("needs Docker")
	case strings.HasPrefix(block.Text, "$ roost why"):
		readmeWonders(t, block)
	case strings.HasPrefix(block.Text, "$ roost online"), strings.HasPrefix(block.Text, "redis-cli EXISTS"):
		readmeSaysWhoIsOnline(t, block)
	case strings.HasPrefix(block.Text, "$ roost doctor"):
		readmeAsksTheDoctor(t, block)
	case block.Language == "$":
		readmeAsks(t, block)
	case strings.Contains(block.Text, "bin/roost publish"):
		readmeTriesItOut(t, block)
	case strings.Contains(block.Text, "redis-cli -c"):
		readmePublishesOnACluster(t, block)
	case strings.Contains(block.Text, "redis-cli PUBLISH"):
		readmePublishes(t, block)
	case strings.Contains(block.Text, "jwt.encode"):
		readmeSigns(t, block)
	default:
		t.Errorf("no test runs this:\n%s", block.Text)
	}
}

// demoPrints wants the words of what a page shows of roost demo in its source.
func demoPrints(t *testing.T, block e2e.Block) {
	source := e2e.ReadDoc(t, "cmd/roost/demo.go")
	shown := regexp.MustCompile(`(?m)^ *(?:alice )?([A-Za-z][a-z]+(?: [a-zA-Z ]+)?)[:,]`).FindAllStringSubmatch(block.Text, -1)
	for _, m := range shown {
		if !strings.Contains(source, m[1]) {
			t.Errorf("roost demo does not print %q", m[1])
		}
	}
	if len(shown) == 0 {
		t.Errorf("no words in\n%s", block.Text)
	}
}

// readmeListensWithCurl runs the two lines of "With curl alone" with the demo, on other ports.
func readmeListensWithCurl(t *testing.T, block e2e.Block) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed")
	}
	demo := roosttest.Run(t, roosttest.Command{Args: []string{"demo"}, Env: roosttest.Env{"WS_PORT": "0", "HTTP_PORT": "0"}})
	found := e2e.WaitMatch(t, demo, `listen --url 'ws://([^/]+)/ws\?token=([^']+)'`)
	admin := e2e.WaitMatch(t, demo, `(?m)^  http://(.*)/$`)[1]
	here := strings.NewReplacer("127.0.0.1:8081", found[1], "127.0.0.1:8082", admin, "$TOKEN", found[2]).Replace(block.Text)
	listen, publish, _ := strings.Cut(strings.TrimSpace(here), "\n")
	listener := roosttest.Run(t, roosttest.Command{Program: "sh", Args: []string{"-c", "exec " + listen}})
	e2e.WaitMatch(t, demo, `total_connections=2`)
	if said, err := inShell(t, ".", publish); err != nil || !strings.Contains(said, `"published":1`) {
		t.Errorf("%s says %s (%v)", publish, said, err)
	}
	e2e.WaitMatch(t, listener, `data: \{"type":"greeting","payload":\{"text":"hello"\}`)
	listener.Stop()
}

// readmePublishesOnACluster runs a line that a cluster has to take.
func readmePublishesOnACluster(t *testing.T, block e2e.Block) {
	if testing.Short() {
		t.Skip("starts a cluster")
	}
	node := redistest.StartCluster(t, redistest.ClusterOptions{NoReplicas: true}).Nodes()[0]
	line := strings.Replace(block.Text, "-h 127.0.0.1 -p 7000", fmt.Sprintf("-h %s -p %d", node.Host(), node.Port()), 1)
	if got, err := inShell(t, ".", line); err != nil || strings.TrimSpace(got) != "0" { // nobody is subscribed
		t.Errorf("%s answers %q (%v)", line, got, err)
	}
}

// readmeTriesItOut runs the lines of "in three terminals", on other ports.
func readmeTriesItOut(t *testing.T, block e2e.Block) {
	redis := redistest.Start(t)
	env := roosttest.ServerEnv(redis, nil)
	run := func(args []string) *roosttest.Process {
		return roosttest.Run(t, roosttest.Command{Args: args, Env: env})
	}
	var server, listener *roosttest.Process
	for line := range strings.Lines(block.Text) {
		command, _, _ := strings.Cut(line, "  #")
		command, isRoost := strings.CutPrefix(strings.TrimSpace(command), "bin/roost")
		name, value, isExport := strings.Cut(strings.TrimPrefix(command, "export "), "=")
		switch args := shellWords(command); {
		case !isRoost && isExport:
			env[name] = value
		case !isRoost:
			t.Fatalf("what is %q?", line)
		case len(args) == 0:
			server = run(nil)
			address := server.WaitLine("listening").Text("websocket")
			env["WS_PORT"] = address[strings.LastIndexByte(address, ':')+1:]
			server.WaitLine("redis feed is subscribed")
		case args[0] == "listen":
			listener = run(args)
			server.WaitLine("connected", "user_id", "alice")
		default:
			if p := run(args); p.Wait() != 0 {
				t.Errorf("%q failed: %s", line, p.Stderr.String())
			}
		}
	}
	e2e.WaitMatch(t, listener, `\{"type":"greeting","payload":\{"text":"hello"\},"timestamp":`)
	listener.Stop()
}

// shellWords splits a command, whose only quotes are single ones.
func shellWords(command string) (words []string) {
	for i, part := range strings.Split(command, "'") {
		if i%2 == 1 {
			words = append(words, part)
		} else {
			words = append(words, strings.Fields(part)...)
		}
	}
	return words
}

// readmePublishes wants the envelope that docs/publishing.md shows, or that of the greeting.
func readmePublishes(t *testing.T, snippet e2e.Block) {
	redis, server := e2e.Start(t, nil)
	alice := server.Connect("alice")
	runSnippet(t, languages(), onRedis(redis), snippet)
	shown := `{"type":"greeting","payload":{"text":"hello"},"timestamp":`
	if !strings.Contains(snippet.Text, "greeting") {
		all := e2e.Blocks(e2e.ReadDoc(t, "docs/publishing.md"))
		shown = all[slices.IndexFunc(all, func(b e2e.Block) bool { return b.Language == "json" })].Text
	}
	want, _, _ := strings.Cut(shown, `"timestamp":`)
	if got := alice.WaitMessages(1)[0]; !strings.HasPrefix(got, want) {
		t.Errorf("alice got %s, the page has %s", got, shown)
	}
}

// readmeAsks asks the admin server, and wants the members that the page shows.
func readmeAsks(t *testing.T, block e2e.Block) {
	_, server := e2e.Start(t, nil)
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed")
	}
	command, shown, _ := strings.Cut(strings.TrimPrefix(block.Text, "$ "), "\n")
	values := regexp.MustCompile(`[0-9.]+(T[0-9:.]+Z)?`)
	want := values.ReplaceAllString(strings.TrimSpace(shown), "0")
	var got string
	defer func() {
		if t.Failed() {
			t.Logf("%s answers\n%s, the page has\n%s", command, got, want)
		}
	}()
	roosttest.WaitFor(t, "the answer that the page has", func() bool { // Redis may have been asked while the machine stood still
		said, err := inShell(t, ".", strings.ReplaceAll(command, "localhost:8082", server.HTTP))
		if err != nil {
			t.Fatalf("%s: %v", command, err)
		}
		got = values.ReplaceAllString(strings.TrimSpace(said), "0")
		return got == want
	})
}

// readmeWonders asks why alice gets nothing, and wants what the page shows, but for numbers and the width of columns.
func readmeWonders(t *testing.T, block e2e.Block) {
	_, server := e2e.Start(t, nil)
	server.Connect("alice")
	command, shown, _ := strings.Cut(block.Text, "\n")
	args := append(strings.Fields(command)[2:], "--url", "http://"+server.HTTP)
	process := roosttest.Run(t, roosttest.Command{Args: args})
	if code := process.Wait(); code != 0 {
		t.Fatalf("%q ended with %d: %s", args, code, process.Stderr.String())
	}
	values, spaces := regexp.MustCompile(`[0-9][0-9.:-]*`), regexp.MustCompile(` +`)
	same := func(text string) string {
		return spaces.ReplaceAllString(values.ReplaceAllString(strings.TrimSpace(text), "0"), " ")
	}
	if got, want := same(process.Log.String()), same(shown); got != want {
		t.Errorf("%s says\n%s\nthe page has\n%s", command, got, want)
	}
}

// readmeSaysWhoIsOnline has alice on two servers, and wants what the page says of her and of bob.
func readmeSaysWhoIsOnline(t *testing.T, block e2e.Block) {
	redis, one := e2e.Start(t, e2e.WithPresence)
	two := roosttest.Start(t, redis, e2e.WithPresence)
	asks := func(line string) (says string) {
		output, _ := inShell(t, ".", strings.Replace(line, "redis-cli ", fmt.Sprintf("redis-cli -h %s -p %d ", redis.Host(), redis.Port()), 1))
		return strings.TrimSpace(output)
	}
	if command, shown, is := strings.Cut(strings.TrimPrefix(block.Text, "$ roost online "), "\n"); is && block.Language == "$" {
		one.Connect("alice")
		two.Connect("alice")
		roosttest.WaitFor(t, "what the page says", func() bool {
			_, got, _ := e2e.Online(t, redis, strings.Fields(command)...)
			return strings.TrimSpace(got) == strings.TrimSpace(shown)
		})
		return
	}
	exists, subscribe, _ := strings.Cut(block.Text, "\n")
	if got := asks(exists); got != "0" {
		t.Errorf("%s: %s", exists, got)
	}
	command, shown, _ := strings.Cut(subscribe, "# ")
	words := strings.Fields(command)
	told := redis.Client().Subscribe(t.Context(), words[len(words)-1])
	defer told.Close()
	if _, err := told.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	one.Connect("alice")
	if m, err := told.ReceiveMessage(t.Context()); err != nil || m.Payload != strings.TrimSpace(shown) {
		t.Errorf("told %v (%v), the page has %s", m, err, shown)
	}
	if got := asks(exists); got != "1" {
		t.Errorf("%s: %s", exists, got)
	}
}

// readmeAsksTheDoctor wants the lines that do not depend on the host.
func readmeAsksTheDoctor(t *testing.T, block e2e.Block) {
	command, _, _ := strings.Cut(block.Text, "\n")
	process := roosttest.Run(t, roosttest.Command{Args: strings.Fields(command)[2:]})
	if code := process.Wait(); code > 1 {
		t.Fatalf("%s ended with %d: %s", command, code, process.Stderr.String())
	}
	for _, part := range []string{"open files (/proc/self/limits)", "accept queue (net.core.somaxconn)", "This host holds"} {
		if !strings.Contains(block.Text, part) || !strings.Contains(process.Log.String(), part) {
			t.Errorf("the page or the doctor don't say %q:\n%s", part, process.Log.String())
		}
	}
}

// readmeSigns has PyJWT make a token, which must open the door.
func readmeSigns(t *testing.T, block e2e.Block) {
	_, server := e2e.Start(t, nil)
	path := filepath.Join(t.TempDir(), "sign.py")
	if err := os.WriteFile(path, []byte(block.Text+"print(token)\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if output, err := inShell(t, ".", "PATH=/usr/bin:$PATH python3 -c 'import jwt'"); err != nil {
		if os.Getenv("SNIPPETS_ALL") != "" {
			t.Fatalf("PyJWT: %v\n%s", err, output)
		}
		t.Skip("PyJWT is not installed, run scripts/snippets.sh")
	}
	token, err := inShell(t, ".", "export JWT_SECRET_KEY="+roosttest.Secret+"; PATH=/usr/bin:$PATH python3 "+path)
	if err != nil {
		t.Fatalf("%v: %s", err, token)
	}
	server.ConnectWith(strings.TrimSpace(token), roosttest.Dial{})
	server.WaitLine("connected", "user_id", "alice")
}
