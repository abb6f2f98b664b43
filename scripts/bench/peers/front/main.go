// Command front is Roost behind a proxy, with the configuration that scripts/proxy has for it: HAProxy or nginx, as FRONT says.
// It takes Roost's variables; the proxy has WS_TLS_PORT and the certificate. ROOST names the program, without it the one beside this.
// FRONT_PROXIES is how many processes of HAProxy share the port (1), where the limit on open files is too low for one.
//
// It edits the file's ports, paths, users, and how many connections fit into the limit on open files.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "front:", err)
		os.Exit(1)
	}
}

// proxy is how one of the proxies is run.
type proxy struct {
	file     string // in scripts/proxy
	protocol string // WS_PROXY_PROTOCOL, as the file asks for it
	args     func(file string) []string
	edits    func(s setting) []string // old and new by turns
}

// setting is what the edits depend on.
type setting struct {
	dir, port, inside, chain, key string
	clients                       int // that fit into the limit on open files
}

func proxies() map[string]proxy {
	return map[string]proxy{
		"haproxy": {"haproxy.cfg", "true", func(file string) []string { return []string{"-db", "-f", file} }, haproxyEdits},
		"nginx":   {"nginx.conf", "false", func(file string) []string { return []string{"-c", file, "-g", "daemon off;"} }, nginxEdits},
	}
}

func haproxyEdits(s setting) []string {
	return []string{
		"/etc/haproxy/roost.pem", s.dir + "/both.pem",
		"    chroot /var/lib/haproxy\n", "", "    user haproxy\n", "", "    group haproxy\n", "",
		"maxconn 120000", fmt.Sprintf("maxconn %d", s.clients),
		"bind :443 ", "bind 127.0.0.1:" + s.port + " ", ":8081 ", ":" + s.inside + " ",
	}
}

func nginxEdits(s setting) []string {
	http := "http {\n"
	for _, use := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		http += "    " + use + "_temp_path " + s.dir + "/" + use + ";\n"
	}
	edits := []string{
		"http {\n", http,
		"/etc/ssl/roost/fullchain.pem", s.chain, "/etc/ssl/roost/privkey.pem", s.key,
		"pid /run/nginx.pid;", "pid " + s.dir + "/nginx.pid;",
		"/var/log/nginx/access.log", s.dir + "/access.log", "/var/log/nginx/error.log", s.dir + "/error.log",
		"worker_rlimit_nofile 140000;\n", "", "worker_connections 131072;", fmt.Sprintf("worker_connections %d;", 2*s.clients),
		"listen 443 ", "listen 127.0.0.1:" + s.port + " ", ":8081 max_fails", ":" + s.inside + " max_fails",
	}
	if os.Getuid() != 0 {
		edits = append(edits, "user www-data;\n", "")
	}
	return edits
}

// run runs Roost and the proxy until ctx ends, or one of the two does.
func run(ctx context.Context) error {
	kind, known := proxies()[os.Getenv("FRONT")]
	if !known {
		return fmt.Errorf("FRONT=%q: it has to be haproxy or nginx", os.Getenv("FRONT"))
	}
	dir, err := os.MkdirTemp("", "front-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file, err := kind.write(dir)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("where this program is: %w", err)
	}
	roost := os.Getenv("ROOST")
	if roost == "" {
		roost = filepath.Join(filepath.Dir(self), "roost")
	}
	count, err := proxyCount()
	if err != nil {
		return err
	}
	all := group{ended: make(chan error, 1+count)}
	all.ctx, all.end = context.WithCancel(ctx)
	defer all.end()
	err = all.start(behind(kind), roost)
	for range count {
		if err == nil {
			err = all.start(os.Environ(), os.Getenv("FRONT"), kind.args(file)...)
		}
	}
	return errors.Join(err, all.wait(err != nil))
}

// proxyCount is FRONT_PROXIES.
func proxyCount() (int, error) {
	text := os.Getenv("FRONT_PROXIES")
	if text == "" || os.Getenv("FRONT") == "nginx" { // which has a limit for each of its workers
		return 1, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("FRONT_PROXIES=%q: it has to be a number from 1", text)
	}
	return n, nil
}

// group is processes of which none outlives another.
type group struct {
	ctx     context.Context
	end     context.CancelFunc
	started int
	ended   chan error
}

func (p *group) start(env []string, name string, args ...string) error {
	cmd := exec.CommandContext(p.ctx, name, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", name, err)
	}
	p.started++
	go func() { p.ended <- fmt.Errorf("%s has ended: %w", name, errors.Join(cmd.Wait())) }()
	return nil
}

// wait waits for the end of all that was started. The first that ends ends the others.
func (p *group) wait(now bool) error {
	var first error
	for range p.started {
		if now {
			p.end()
		}
		err := <-p.ended
		if first == nil {
			first = err
		}
		now = true
	}
	return first
}

// behind are Roost's variables: without TLS, and at all of the addresses that the proxies connect to.
func behind(kind proxy) []string {
	env := []string{"WS_HOST=0.0.0.0", "WS_TRUSTED_PROXIES=127.0.0.1", "WS_PROXY_PROTOCOL=" + kind.protocol}
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "WS_TLS_") && !strings.HasPrefix(variable, "WS_HOST=") {
			env = append(env, variable)
		}
	}
	return env
}

// write writes the edited file.
func (p proxy) write(dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join("scripts/proxy", p.file))
	if err != nil {
		return "", err
	}
	s := setting{
		dir: dir, port: os.Getenv("WS_TLS_PORT"), inside: os.Getenv("WS_PORT"),
		chain: os.Getenv("WS_TLS_CERT_FILE"), key: os.Getenv("WS_TLS_KEY_FILE"),
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return "", fmt.Errorf("the limit on open files: %w", err)
	}
	s.clients = int(min(limit.Max, 300_000)/2) - 200
	chain, err1 := os.ReadFile(s.chain)
	key, err2 := os.ReadFile(s.key)
	if err := errors.Join(err1, err2, os.WriteFile(dir+"/both.pem", append(chain, key...), 0o600)); err != nil {
		return "", err
	}
	edited := string(text)
	for edits := p.edits(s); len(edits) > 0; edits = edits[2:] {
		before := edited
		if edited = replaceSettings(edited, edits[0], edits[1]); edited == before {
			return "", fmt.Errorf("%s has no %q any more", p.file, edits[0])
		}
	}
	file := filepath.Join(dir, p.file)
	return file, os.WriteFile(file, []byte(edited), 0o600)
}

// replaceSettings leaves comments alone, which say the same words.
func replaceSettings(text, old, replacement string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			line = strings.ReplaceAll(line, old, replacement)
		}
		b.WriteString(line)
	}
	return b.String()
}
