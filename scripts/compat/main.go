// Command compat connects to Roost with the client libraries that are here, and with each Redis-compatible server that is
// here, and writes what came of it into docs/compatibility.md. scripts/compat.sh brings what apt and npm have.
//
// Each client has to connect, to stay connected by answering pings for longer than the pong wait, to get a notification
// with characters of every plane and one of 60 KB, and to learn the close code when its user is disconnected (4403) and
// when the server stops (1001).
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// patience bounds each wait.
const patience = 30 * time.Second

// idle is longer than the server's pong wait: who is still connected then has answered pings.
const idle = 4 * time.Second

func main() {
	roost := flag.String("roost", "bin/roost", "the program to test")
	page := flag.String("page", "docs/compatibility.md", "the page whose tables are written; empty: standard output only")
	work := flag.String("work", "", "a folder with node_modules and the built clients")
	flag.Parse()
	if err := run(*roost, *page, *work); err != nil {
		fmt.Fprintln(os.Stderr, "compat:", err)
		os.Exit(1)
	}
}

func run(roost, page, work string) error {
	program, err := filepath.Abs(roost)
	if err != nil {
		return err
	}
	clients, err := tryClients(program, available(work))
	if err != nil {
		return err
	}
	servers := tryServers(program)
	fmt.Print(clients, "\n", servers)
	if page == "" {
		return nil
	}
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	text, errClients := replaceBetween(text, "clients", clients)
	text, errServers := replaceBetween(text, "servers", servers)
	if err := errors.Join(errClients, errServers); err != nil {
		return err
	}
	return os.WriteFile(page, text, 0o644)
}

// replaceBetween puts a table between its two markers.
func replaceBetween(text []byte, name, table string) ([]byte, error) {
	begin, end := []byte("<!-- "+name+" -->\n"), []byte("<!-- /"+name+" -->")
	before, rest, found := bytes.Cut(text, begin)
	_, after, closed := bytes.Cut(rest, end)
	if !found || !closed {
		return text, fmt.Errorf("the page has no %s and %s", begin, end)
	}
	return slices.Concat(before, begin, []byte(table), end, after), nil
}

// outcome is what came of one client.
type outcome struct {
	client
	version  string
	opened   bool
	pings    bool // still there after idle
	messages bool
	codes    [2]string // at a disconnect, and at a stop
	problem  string
}

// tryClients connects all of them at the same time, to one server.
func tryClients(program string, clients []client) (string, error) {
	redis, err := startRedis("redis-server")
	if err != nil {
		return "", err
	}
	defer redis.stop()
	server, err := startRoost(program, redis.port, "pattern")
	if err != nil {
		return "", err
	}
	defer server.stop()
	outcomes := make([]outcome, len(clients))
	var first sync.WaitGroup
	for i, c := range clients {
		first.Go(func() { outcomes[i] = server.try(c, i) })
	}
	first.Wait()
	var second, open sync.WaitGroup
	for i := range outcomes {
		if !outcomes[i].opened {
			continue
		}
		open.Add(1)
		second.Go(func() { outcomes[i].codes[1] = server.stay(&outcomes[i], i, &open) })
	}
	open.Wait()
	server.stop()
	second.Wait()
	return clientTable(outcomes), nil
}

func clientTable(outcomes []outcome) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| Client | Version | Pings answered | Notifications whole | Disconnected, 4403 | Server stops, 1001 |\n|---|---|---|---|---|---|\n")
	for _, o := range outcomes {
		if o.problem != "" {
			fmt.Fprintf(os.Stderr, "%s: %s\n", o.name, o.problem)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", o.name, o.version, yes(o.pings), yes(o.messages), o.codes[0], o.codes[1])
	}
	fmt.Fprintf(&b, "\nRun on %s.\n", time.Now().UTC().Format(time.DateOnly))
	return b.String()
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// The notifications that are published: one with characters of one to four bytes and what JSON escapes, and a long one.
var notifications = []string{
	`{"type":"compat","payload":"grüße, 你好, 👋🏽, \"quoted\" and \\ \u0007"}`,
	`{"type":"compat","payload":"` + strings.Repeat("0123456789abcdef", 60<<10/16) + `"}`,
}

// try runs a client until its user is disconnected.
func (s *roostServer) try(c client, n int) outcome {
	o := outcome{client: c, version: c.version()}
	user := fmt.Sprintf("compat-%d", n)
	session, err := s.start(c, user)
	if err != nil {
		o.problem = err.Error()
		return o
	}
	defer session.stop()
	if _, err := session.await("open"); err != nil {
		o.problem = err.Error()
		return o
	}
	o.opened = true
	time.Sleep(idle) // the server pings every second, and waits for three
	o.messages = true
	for _, n := range notifications {
		if err := s.command("publish", user, n); err != nil {
			o.problem = err.Error()
		}
		payload := strings.TrimSuffix(strings.TrimPrefix(n, "{"), "}")
		line, err := session.await("message ")
		if o.pings = o.pings || err == nil; err != nil || !strings.Contains(line, payload) {
			o.messages = false
			o.problem = fmt.Sprintf("a notification came as %.200q, %v", line, err)
		}
	}
	if err := s.command("disconnect", user); err != nil {
		o.problem = err.Error()
	}
	o.codes[0] = session.closed()
	return o
}

// stay runs a client until the server stops.
func (s *roostServer) stay(o *outcome, n int, open *sync.WaitGroup) string {
	session, err := s.start(o.client, fmt.Sprintf("stay-%d", n))
	if err == nil {
		_, err = session.await("open")
	}
	open.Done()
	if err != nil {
		return "not connected"
	}
	defer session.stop()
	return session.closed()
}

// session is a client's process.
type session struct {
	cmd    *exec.Cmd
	lines  chan string
	errors bytes.Buffer
}

func (s *roostServer) start(c client, user string) (*session, error) {
	token, err := exec.Command(s.program, "token", user).Output()
	if err != nil {
		return nil, fmt.Errorf("signing a token: %w", err)
	}
	argv := append(slices.Clone(c.argv), fmt.Sprintf("ws://127.0.0.1:%s/ws?token=%s", s.port, strings.TrimSpace(string(token))))
	ss := &session{cmd: exec.Command(argv[0], argv[1:]...), lines: make(chan string, 16)}
	ss.cmd.Dir, ss.cmd.Env, ss.cmd.Stderr = c.dir, append(os.Environ(), c.env...), &ss.errors
	out, err := ss.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := ss.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(ss.lines)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			ss.lines <- lines.Text()
		}
	}()
	return ss, nil
}

// await waits for the next line that begins so, and passes over others.
func (s *session) await(prefix string) (string, error) {
	timeout := time.After(patience)
	for {
		select {
		case line, ok := <-s.lines:
			switch {
			case !ok:
				_ = s.cmd.Wait()
				return "", fmt.Errorf("it ended instead of saying %q: %.400s", prefix, s.errors.String())
			case strings.HasPrefix(line, prefix):
				return line, nil
			}
		case <-timeout:
			return "", fmt.Errorf("it did not say %q in time", prefix)
		}
	}
}

// closed is the code that the client was told.
func (s *session) closed() string {
	line, err := s.await("closed ")
	if err != nil {
		return err.Error()
	}
	return strings.TrimSuffix(strings.TrimPrefix(line, "closed "), " clean")
}

func (s *session) stop() { _ = s.cmd.Process.Kill(); _ = s.cmd.Wait() }

// process is a server that runs.
type process struct {
	cmd  *exec.Cmd
	once sync.Once
	port string
}

func (p *process) stop() {
	p.once.Do(func() { _ = p.cmd.Process.Signal(os.Interrupt); _ = p.cmd.Wait() })
}

func startRedis(name string) (*process, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(name, "--port", port, "--save", "", "--appendonly", "no"), port: port}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	return p, reachable(port)
}

// roostServer is a Roost that runs.
type roostServer struct {
	process
	program string
}

func startRoost(program, redis, feed string) (*roostServer, error) {
	port, err := freePort()
	admin, errAdmin := freePort()
	if err := errors.Join(err, errAdmin); err != nil {
		return nil, err
	}
	for name, value := range map[string]string{
		"JWT_SECRET_KEY": "compat-0123456789abcdef0123456789", "REDIS_HOST": "127.0.0.1", "REDIS_PORT": redis, "REDIS_FEED": feed,
		"WS_HOST": "127.0.0.1", "WS_PORT": port, "HTTP_HOST": "127.0.0.1", "HTTP_PORT": admin,
		"WS_PING_INTERVAL": "1s", "WS_PONG_WAIT": "3s", "LOGGER_LEVEL": "error",
	} {
		if err := os.Setenv(name, value); err != nil {
			return nil, err
		}
	}
	s := &roostServer{program: program, process: process{cmd: exec.Command(program, "serve"), port: port}}
	s.cmd.Stdout, s.cmd.Stderr = os.Stderr, os.Stderr
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	return s, reachable(port)
}

// command runs one of Roost's own.
func (s *roostServer) command(args ...string) error {
	if out, err := exec.Command(s.program, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("roost %s: %w: %s", args[0], err, out)
	}
	return nil
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

func reachable(port string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", "127.0.0.1:"+port)
		if err == nil {
			return conn.Close()
		}
		if ctx.Err() != nil {
			return fmt.Errorf("nothing listens on port %s: %w", port, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
