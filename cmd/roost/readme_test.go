package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// TestReadme does what README says, block by block. A block that nothing here
// knows fails it.
func TestReadme(t *testing.T) {
	t.Parallel()
	for _, block := range blocks(readDoc(t, "README.md")) {
		t.Run(fmt.Sprintf("%s %.12s", block.language, block.text), func(t *testing.T) {
			t.Parallel()
			switch {
			case block.language == "json": // an envelope, below
			case block.language == "html": // TestClient runs it
			case strings.Contains(block.text, "docker compose"):
				t.Skip("needs Docker")
			case strings.HasPrefix(block.text, "$ roost why"):
				readmeWonders(t, block)
			case strings.HasPrefix(block.text, "$ roost online"), strings.HasPrefix(block.text, "redis-cli EXISTS"):
				readmeSaysWhoIsOnline(t, block)
			case strings.HasPrefix(block.text, "$ roost doctor"):
				readmeAsksTheDoctor(t, block)
			case block.language == "$":
				readmeAsks(t, block)
			case strings.Contains(block.text, "bin/roost publish"):
				readmeTriesItOut(t, block)
			case strings.Contains(block.text, "redis-cli PUBLISH"):
				readmePublishes(t, block)
			case strings.Contains(block.text, "jwt.encode"):
				readmeSigns(t, block)
			default:
				t.Errorf("no test runs this:\n%s", block.text)
			}
		})
	}
}

// readmeTriesItOut runs the lines of "in three terminals", on other ports.
func readmeTriesItOut(t *testing.T, block block) {
	redis := redistest.Start(t)
	env := roosttest.ServerEnv(redis, nil)
	run := func(args []string) *roosttest.Process {
		return roosttest.Run(t, roosttest.Command{Args: args, Env: env})
	}
	var server, listener *roosttest.Process
	for line := range strings.Lines(block.text) {
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
	waitMatch(t, listener, `\{"type":"greeting","payload":\{"text":"hello"\},"timestamp":`)
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

// readmePublishes wants what README shows as the envelope.
func readmePublishes(t *testing.T, snippet block) {
	redis, server := start(t, nil)
	alice := server.Connect("alice")
	runSnippet(t, redis, snippet)
	all := blocks(readDoc(t, "README.md"))
	shown := all[slices.IndexFunc(all, func(b block) bool { return b.language == "json" })].text
	want, _, _ := strings.Cut(shown, `"timestamp":`)
	if got := alice.WaitMessages(1)[0]; !strings.HasPrefix(got, want) {
		t.Errorf("alice got %s, README has %s", got, shown)
	}
}

// readmeAsks asks the side server, and wants the members that README shows.
func readmeAsks(t *testing.T, block block) {
	_, server := start(t, nil)
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed")
	}
	command, shown, _ := strings.Cut(strings.TrimPrefix(block.text, "$ "), "\n")
	got, err := inShell(t, ".", strings.ReplaceAll(command, "localhost:8082", server.HTTP))
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	values := regexp.MustCompile(`[0-9.]+(T[0-9:.]+Z)?`)
	if got, want := values.ReplaceAllString(strings.TrimSpace(got), "0"), values.ReplaceAllString(strings.TrimSpace(shown), "0"); got != want {
		t.Errorf("%s answers\n%s, README has\n%s", command, got, want)
	}
}

// readmeWonders asks why alice gets nothing, and wants what README shows, but for numbers and the width of columns.
func readmeWonders(t *testing.T, block block) {
	_, server := start(t, nil)
	server.Connect("alice")
	command, shown, _ := strings.Cut(block.text, "\n")
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
		t.Errorf("%s says\n%s\nREADME has\n%s", command, got, want)
	}
}

// readmeSaysWhoIsOnline has alice on two servers, and wants what README says of her and of bob.
func readmeSaysWhoIsOnline(t *testing.T, block block) {
	redis, one := start(t, withPresence)
	two := roosttest.Start(t, redis, withPresence)
	asks := func(line string) (says string) {
		output, _ := inShell(t, ".", strings.Replace(line, "redis-cli ", fmt.Sprintf("redis-cli -h %s -p %d ", redis.Host(), redis.Port()), 1))
		return strings.TrimSpace(output)
	}
	if command, shown, is := strings.Cut(strings.TrimPrefix(block.text, "$ roost online "), "\n"); is && block.language == "$" {
		one.Connect("alice")
		two.Connect("alice")
		roosttest.WaitFor(t, "what README says", func() bool {
			_, got, _ := online(t, redis, strings.Fields(command)...)
			return strings.TrimSpace(got) == strings.TrimSpace(shown)
		})
		return
	}
	exists, subscribe, _ := strings.Cut(block.text, "\n")
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
		t.Errorf("told %v (%v), README has %s", m, err, shown)
	}
	if got := asks(exists); got != "1" {
		t.Errorf("%s: %s", exists, got)
	}
}

// readmeAsksTheDoctor wants the lines that do not depend on the host.
func readmeAsksTheDoctor(t *testing.T, block block) {
	command, _, _ := strings.Cut(block.text, "\n")
	process := roosttest.Run(t, roosttest.Command{Args: strings.Fields(command)[2:]})
	if code := process.Wait(); code > 1 {
		t.Fatalf("%s ended with %d: %s", command, code, process.Stderr.String())
	}
	for _, part := range []string{"open files (/proc/self/limits)", "accept queue (net.core.somaxconn)", "This host holds"} {
		if !strings.Contains(block.text, part) || !strings.Contains(process.Log.String(), part) {
			t.Errorf("README or the doctor don't say %q:\n%s", part, process.Log.String())
		}
	}
}

// readmeSigns has PyJWT make a token, which must open the door.
func readmeSigns(t *testing.T, block block) {
	_, server := start(t, nil)
	path := filepath.Join(t.TempDir(), "sign.py")
	if err := os.WriteFile(path, []byte(block.text+"print(token)\n"), 0o600); err != nil {
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
