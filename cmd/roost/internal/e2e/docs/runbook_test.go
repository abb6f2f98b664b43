package docs

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"roost/cmd/roost/internal/config"
	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// standIns are the commands of docs/deploy.md and docs/operations.md that do not run as they are, and why: what runs in their place, in sh,
// with the server's ports in the environment.
func standIns() map[string]string {
	return map[string]string{
		// A machine that runs tests has no systemd with a Roost in it.
		"systemctl": `case "$*" in
			"show -P MainPID roost") echo "$ROOST_PID" ;;
			"daemon-reload" | "enable --now roost" | "restart roost" | "reload roost" | "start roost-upgrade" | "edit roost") ;;
			"status --no-pager roost" | "status --no-pager systemd-journald") ;;
			"show --property=Result,NRestarts,ExecMainStatus roost") ;;
			*) echo "systemctl $*: no page wants that" >&2; exit 1 ;;
			esac`,
		// Nor a journal: a line for each text that Roost's code has, so that what the page looks for has to be one.
		"journalctl": `case "$*" in "--unit roost --output cat --since "*) cat "$TEXTS" ;; *) echo "journalctl $*?" >&2; exit 1 ;; esac`,
		// Nor a cluster. scripts/chart has tests of the chart and its values.
		"kubectl": `[ "$1 $2 $3 $4" = "create secret generic roost" ]`,
		"helm":    `[ "$1 $2 $3" = "install roost scripts/chart/roost" ]`,
		// Packages: the tests have what they need, or skip.
		"apt-get": `[ "$1 $2 $3" = "install --yes --no-install-recommends" ]`,
		// Users are not made, and files belong to who runs the tests.
		"useradd": `case "$*" in "--system --user-group "*" roost") ;; *) echo "useradd $*?" >&2; exit 1 ;; esac`,
		"install": `set -- $(printf '%s ' "$@" | sed 's/ -o root -g roost / /'); PATH=$OWN_PATH exec install "$@"`,
		// The kernel is not set; what only reads it is run.
		"sysctl": `[ "$*" = --system ] || PATH=/usr/sbin:/sbin:$OWN_PATH exec sysctl "$@"`,
		// Time passes in the tests' own way.
		"sleep": "exec $REAL_SLEEP 0.1",
		// Redis is on another port.
		"redis-cli": `PATH=$OWN_PATH exec redis-cli -h "$REDIS_HOST" -p "$REDIS_PORT" "$@"`,
	}
}

// TestOperationsCommands runs each block of docs/deploy.md and docs/operations.md, one after the other, in a scratch directory, against a
// server that has had a bit of everything.
func TestOperationsCommands(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program")
	}
	t.Parallel()
	page := e2e.ReadDoc(t, deployFile) + e2e.ReadDoc(t, operationsFile)
	for _, tool := range []string{"curl", "ss", "nstat", "prlimit", "openssl"} {
		if output, err := inShell(t, ".", "PATH=$PATH:/usr/sbin:/sbin command -v "+tool); err != nil {
			t.Skipf("%s is not installed: %s", tool, output)
		}
	}
	o := newOperator(t)
	all := e2e.Blocks(page)
	if len(all) < 40 || len(all) != strings.Count(page, "\n```")/2 {
		t.Fatalf("%d blocks have a language, there are %d", len(all), strings.Count(page, "\n```")/2)
	}
	shorthands := ""
	for _, block := range all {
		if strings.Contains(block.Text, "metrics() {") {
			shorthands = block.Text
		}
	}
	for _, block := range all {
		name, _, _ := strings.Cut(block.Text, "\n")
		if block.Language == "$" || block.Language == "yaml" {
			continue // TestReadme, TestKubernetesManifest
		}
		if block.Language != "sh" {
			t.Errorf("nothing runs blocks of %q: %s", block.Language, name)
			continue
		}
		if strings.Contains(block.Text, "net.ipv4.tcp_mem") && !seesTCPMem() {
			t.Logf("not tried, as in a container with a network of its own: %s", block.Text)
			continue
		}
		for _, search := range searches(block.Text) {
			if output, err := inShell(t, o.dir, o.script(shorthands, search)); err != nil {
				t.Errorf("this finds nothing: %s\n%s\nof\n%s", search, output, block.Text)
			}
		}
		output, err := inShell(t, o.dir, o.script(shorthands, block.Text))
		if err != nil {
			t.Errorf("%s%s\n%v", block.Text, output, err)
		}
		if strings.HasPrefix(block.Text, "sed -n 's/^#") {
			o.install(t, output)
		}
	}
	o.wantInstalled(t)
}

var (
	searching = regexp.MustCompile(`^(since='[^']*' )?(metrics|logs) `)
	choice    = regexp.MustCompile(`\(([^()']*\|[^()']*)\)`)
)

// searches are the lines of a block that look for something in numbers or the log, each without what is behind a pipe,
// which would hide that nothing was found, and once for each that it looks for: a(b|c)d for abd and for acd.
func searches(text string) (all []string) {
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), "; sleep")
		if !searching.MatchString(line) || strings.Contains(line, " || ") {
			continue
		}
		search, _, _ := strings.Cut(line, " | ")
		m := choice.FindStringSubmatchIndex(search)
		if m == nil {
			all = append(all, search)
			continue
		}
		for one := range strings.SplitSeq(search[m[2]:m[3]], "|") {
			all = append(all, search[:m[0]]+one+search[m[1]:])
		}
	}
	return all
}

// operator is somebody in a directory of their own, in front of a server.
type operator struct {
	dir, root string // where they are, and what stands for /
	setup     string // what goes before each block
	replace   *strings.Replacer
}

func newOperator(t *testing.T) *operator {
	t.Helper()
	redis, server := e2e.Start(t, roosttest.Env{"HTTP_PPROF": "true", "REDIS_FEED": "user",
		"REDIS_PRESENCE": "true", "WEBHOOK_URL": "http://127.0.0.1:1/", "WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"})
	live(t, redis, server)
	module, err := filepath.Abs(e2e.Root)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	o := &operator{dir: dir, root: filepath.Join(dir, "root")}
	tools := filepath.Join(dir, "tools")
	for _, d := range []string{tools, filepath.Join(dir, "bin"), filepath.Join(o.root, "usr/local/bin"), filepath.Join(o.root, "etc/systemd/system"), filepath.Join(o.root, "etc/sysctl.d")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, script := range standIns() {
		writeFile(t, filepath.Join(tools, name), "#!/bin/sh\n"+script+"\n")
	}
	for from, to := range map[string]string{module + "/scripts": "scripts", roosttest.Binary(t): "tools/roost"} {
		if err := os.Symlink(from, filepath.Join(dir, to)); err != nil {
			t.Fatal(err)
		}
	}
	texts := filepath.Join(dir, "texts")
	writeFile(t, texts, logTexts(t, module))
	_, wsPort, _ := strings.Cut(server.WS, ":")
	_, httpPort, _ := strings.Cut(server.HTTP, ":")
	o.setup = strings.Join([]string{
		"set -e", "export OWN_PATH=$PATH", "export REAL_SLEEP=$(command -v sleep)", "export PATH=" + tools + ":$PATH:/usr/sbin:/sbin",
		"export ROOST_PID=" + strconv.Itoa(server.Pid()) + " TEXTS=" + texts,
		"export WS_HOST=127.0.0.1 WS_PORT=" + wsPort + " HTTP_HOST=127.0.0.1 HTTP_PORT=" + httpPort,
		"export REDIS_HOST=" + redis.Host() + " REDIS_PORT=" + strconv.Itoa(redis.Port()),
		"export JWT_SECRET_KEY=" + roosttest.Secret + " TOKEN=" + roosttest.Token(t, "alice"), "",
	}, "\n")
	kept := module + "/bin/roosttest/roost-documented" // go build links nothing where that is what it would link
	o.replace = strings.NewReplacer(
		"CGO_ENABLED=0 go build -trimpath -o bin/roost", "(cd "+module+"; CGO_ENABLED=0 go build -trimpath -o "+kept,
		"./cmd/roost\n", "./cmd/roost; mkdir -p "+dir+"/bin; cp "+kept+" "+dir+"/bin/roost)\n",
		"localhost:8081", server.WS, "localhost:8082", server.HTTP, "127.0.0.1:8082", server.HTTP, ":8081", ":"+wsPort,
		"seconds=10", "seconds=1", "timeout 10 ", "timeout 1 ",
		" /usr/local/", " "+o.root+"/usr/local/", " /etc/", " "+o.root+"/etc/",
		"\n/usr/local/", "\n"+o.root+"/usr/local/",
	)
	return o
}

// script is what sh runs for a block.
func (o *operator) script(shorthands, text string) string {
	return o.setup + o.replace.Replace(shorthands+"\n"+text)
}

// install runs what the comment at the top of the unit says.
func (o *operator) install(t *testing.T, commands string) {
	t.Helper()
	if strings.Count(commands, "install ") < 3 || !strings.Contains(commands, "enable --now roost") {
		t.Fatalf("the unit's comment has no commands that install it:\n%s", commands)
	}
	if output, err := inShell(t, o.dir, o.script("", commands)); err != nil {
		t.Errorf("the unit's comment: %v\n%s\n%s", err, commands, output)
	}
}

// wantInstalled wants in the scratch root what an installation leaves, and the settings to be good ones.
func (o *operator) wantInstalled(t *testing.T) {
	t.Helper()
	for _, file := range []string{"usr/local/bin/roost", "etc/systemd/system/roost.service", "etc/systemd/system/roost.service.d/stop.conf"} {
		if info, err := os.Stat(filepath.Join(o.root, file)); err != nil || info.Size() == 0 {
			t.Errorf("%s is not installed: %v", file, err)
		}
	}
	env := roosttest.Env{}
	settings, err := os.ReadFile(filepath.Join(o.dir, "roost.env"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(settings)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		env[name] = value
	}
	rows := (config.Config{}).Describe()
	for name := range env {
		if !slices.ContainsFunc(rows, func(r config.Row) bool { return r.Name == name }) {
			t.Errorf("the page sets %s, which nothing reads", name)
		}
	}
	p := roosttest.Run(t, roosttest.Command{Args: []string{"config"}, Env: env})
	if code := p.Wait(); code != 0 {
		t.Errorf("the settings of the page are no good: %d\n%s", code, p.Stderr.String())
	}
}

// live gives the server a bit of everything that the runbook looks for.
func live(t *testing.T, redis *redistest.Server, server *roosttest.Server) {
	t.Helper()
	alice := server.Connect("alice")
	e2e.Notify(redis, "alice", `{"type":"greeting"}`)
	alice.WaitMessages(1)
	server.Dial().Ask("GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
	server.WaitMetric(`roost_connections_refused_total{reason="token_missing"}`, 1)
}

var goString = regexp.MustCompile(`"((?:[^"\\\n]|\\.)+)"`)

// logTexts is a line of a log for each string of Roost's code, at two levels and about alice.
func logTexts(t *testing.T, module string) string {
	t.Helper()
	var lines strings.Builder
	for _, room := range []string{"cmd/roost", "netpoll", "hub", "redisfeed", "httpapi"} {
		err := filepath.WalkDir(filepath.Join(module, room), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			source, err := os.ReadFile(path)
			for _, m := range goString.FindAllSubmatch(source, -1) {
				fmt.Fprintf(&lines, `{"level":"INFO","msg":"%s","user_id":"alice"}`+"\n", m[1])
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return lines.String()
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}
