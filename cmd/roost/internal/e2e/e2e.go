// Package e2e is what the end-to-end tests in the packages below it share. They run the program itself, against a real
// redis-server and real sockets, and know nothing of its inside. Each test has servers of its own, on free ports. Package
// roosttest runs and watches the program.
package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"golang.org/x/sys/unix"

	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// Root is the top of the repository, for tests in a package below this one.
const Root = "../../../../.."

// Start starts a Redis and a server on it.
func Start(t *testing.T, env roosttest.Env) (*redistest.Server, *roosttest.Server) {
	t.Helper()
	redis := redistest.Start(t)
	return redis, roosttest.Start(t, redis, env)
}

// Notify publishes a notification as a backend does.
func Notify(redis *redistest.Server, user, notification string) {
	redis.Publish("user_noti:"+user, notification)
}

// Numbered is the nth of many notifications.
func Numbered(n int) string { return fmt.Sprintf(`{"type":"n","payload":%d}`, n) }

// ClusterClient is a client of a cluster that publishes nothing twice: it waits for a reply for as long as a busy machine may take, where
// others try again.
func ClusterClient(t *testing.T, cluster *redistest.Cluster) *redis.ClusterClient {
	t.Helper()
	client := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: cluster.Addrs(), Protocol: 2, DisableIdentity: true, ReadTimeout: roosttest.Limit, WriteTimeout: roosttest.Limit,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// WaitDeep waits until the deep check of /health finds all well. Its steps have two seconds each, which a busy machine may need for
// anything else.
func WaitDeep(t *testing.T, server *roosttest.Server) {
	t.Helper()
	var health roosttest.Health
	defer func() {
		if t.Failed() {
			t.Logf("the deep check says %+v", health)
		}
	}()
	roosttest.WaitFor(t, "the deep check to find all well", func() bool {
		health = server.Health(true)
		return health.Code == http.StatusOK
	})
}

// NotifyAll publishes many in one go.
func NotifyAll(t *testing.T, server *redistest.Server, user string, notifications []string) {
	t.Helper()
	_, err := server.Client().Pipelined(t.Context(), func(pipe redis.Pipeliner) error {
		for _, n := range notifications {
			pipe.Publish(t.Context(), "user_noti:"+user, n)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("publishing: %v", err)
	}
}

// CheckBalanceNow checks that accepted deliveries are sent, failed or waiting.
func CheckBalanceNow(t *testing.T, m roosttest.Metrics) {
	t.Helper()
	accepted := m["roost_deliveries_accepted_total"]
	if sum := m["roost_deliveries_sent_total"] + m.Sum("roost_deliveries_failed_total") + m["roost_deliveries_waiting"]; sum != accepted {
		t.Errorf("accepted %v, but sent, failed and waiting are %v", accepted, sum)
	}
}

// CheckRefusesToStart checks that a server with these variables ends at once, and that its error has the words.
func CheckRefusesToStart(t *testing.T, env roosttest.Env, words ...string) {
	t.Helper()
	process := roosttest.Run(t, roosttest.Command{Args: []string{"serve"}, Env: env})
	if code := process.Wait(); code != 1 {
		t.Errorf("ended with %d, want 1", code)
	}
	said := process.Stderr.String()
	if short := strings.ReplaceAll(said, os.TempDir(), ""); strings.Count(said, "\n") != 1 || len(short) > 400 {
		t.Errorf("said more, or less, than one line: %q", said)
	}
	for _, word := range words {
		if !strings.Contains(said, word) {
			t.Errorf("%q does not say %q", said, word)
		}
	}
}

type NoRedis struct{}

func (NoRedis) Host() string { return "127.0.0.1" }
func (NoRedis) Port() int    { return 1 }

// LastPid is that of the latest process, once the log has said that it listens, or, the process before it, that it is ready.
// Each of the two writes its line, and either may come first: so whoever has seen one may ask.
func LastPid(server *roosttest.Server) int {
	var pids []int // each once
	for _, line := range server.Log.Lines() {
		var named []any
		switch line.Message() {
		case "listening":
			named = []any{line["pid"]}
		case "the new process is ready":
			named, _ = line["new_process"].([]any)
		}
		for _, value := range named {
			if pid, ok := value.(float64); ok && !slices.Contains(pids, int(pid)) {
				pids = append(pids, int(pid))
			}
		}
	}
	return pids[len(pids)-1]
}

// SignalLast signals the latest process of a server.
func SignalLast(server *roosttest.Server, sig syscall.Signal) { _ = syscall.Kill(LastPid(server), sig) }

// upgradeFailed is what a process says whose upgrade has failed.
const upgradeFailed = "the upgrade failed, this process goes on"

// Upgrade has a server start a new process, and waits until that is ready. An upgrade may fail only since this machine is too busy for it.
func Upgrade(t *testing.T, server *roosttest.Server) {
	t.Helper()
	known := len(server.Log.Find(upgradeFailed))
	AskUpgrade(t, server, func() bool {
		for _, line := range server.Log.Find(upgradeFailed)[known:] {
			if !roosttest.TooSlow(line.Text("error")) {
				t.Fatalf("the upgrade failed: %v", line)
			}
		}
		return isReady(server)
	})
}

// AskUpgrade asks the latest process of a server for an upgrade, again where this machine was too busy for it, until it has come about, as
// done says.
func AskUpgrade(t *testing.T, server *roosttest.Server, done func() bool) {
	t.Helper()
	known, pid := len(server.Log.Find(upgradeFailed)), LastPid(server)
	_ = syscall.Kill(pid, syscall.SIGUSR2)
	awaitUpgrade(t, server, pid, known, done)
}

// AwaitReady waits until the first upgrade, which the first process of a server was asked for, has come about. It asks again where this
// machine was too busy for it.
func AwaitReady(t *testing.T, server *roosttest.Server) {
	t.Helper()
	awaitUpgrade(t, server, server.Pid(), 0, func() bool { return isReady(server) })
}

func isReady(server *roosttest.Server) bool {
	return len(server.Log.Find("the new process is ready")) > 0
}

// awaitUpgrade asks a process again after each upgrade that failed, beyond those that are known.
func awaitUpgrade(t *testing.T, server *roosttest.Server, pid, known int, done func() bool) {
	t.Helper()
	roosttest.WaitWithin(t, 4*roosttest.Limit, "an upgrade for which this machine is not too busy", func() bool {
		if now := len(server.Log.Find(upgradeFailed)); now > known {
			known = now
			_ = syscall.Kill(pid, syscall.SIGUSR2)
		}
		return done()
	})
}

// EndLast has the processes of upgrades end with the test, which only knows of the first.
func EndLast(t *testing.T, server *roosttest.Server) {
	t.Cleanup(func() {
		roosttest.WaitFor(t, "the processes of upgrades to end", func() bool {
			heirs := server.Heirs()
			for _, pid := range heirs {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
			return len(heirs) == 0
		})
	})
}

// WaitHealth waits until /health says so on both ports.
func WaitHealth(t *testing.T, server *roosttest.Server, code int, status string) roosttest.Health {
	t.Helper()
	var health roosttest.Health
	roosttest.WaitFor(t, "/health to be "+status, func() bool {
		health = server.Health(false)
		return health.Code == code && health.Status == status
	})
	answer := server.Dial().Ask("GET /health HTTP/1.1\r\nHost: lb\r\n\r\n")
	if h := roosttest.ReadHealth(t, answer.StatusCode, []byte(answer.Text)); h.Code != code || h.Status != status {
		t.Errorf("the WebSocket port says %d %s, want %d %s", h.Code, h.Status, code, status)
	}
	CheckAlive(t, server)
	return health
}

// CheckAlive checks that /health/live says 200 on both ports, whatever /health says, and /health/ready what /health says.
func CheckAlive(t *testing.T, server *roosttest.Server) {
	t.Helper()
	if code, body := server.Get("/health/live"); code != http.StatusOK || string(body) != AliveBody {
		t.Errorf("/health/live says %d %q", code, body)
	}
	answer := server.Dial().Ask("GET /health/live HTTP/1.1\r\nHost: lb\r\n\r\n")
	if answer.StatusCode != http.StatusOK || answer.Text != AliveBody {
		t.Errorf("the WebSocket port's /health/live says %s %q", answer.Status, answer.Text)
	}
	head := server.Dial().Ask("HEAD /health/live HTTP/1.1\r\nHost: lb\r\n\r\n")
	if head.StatusCode != http.StatusOK || head.Text != "" || head.ContentLength != int64(len(AliveBody)) {
		t.Errorf("to HEAD it says %s %q, %d bytes", head.Status, head.Text, head.ContentLength)
	}
	health, _ := server.Get("/health")
	ready, _ := server.Get("/health/ready")
	onPort := server.Dial().Ask("HEAD /health/ready HTTP/1.1\r\nHost: lb\r\n\r\n")
	if ready != health || onPort.StatusCode != health {
		t.Errorf("/health says %d, /health/ready %d and on the WebSocket port %d", health, ready, onPort.StatusCode)
	}
}

const AliveBody = "{\"status\":\"alive\"}\n"

// Connects tries a token and returns the status of the answer.
func Connects(server *roosttest.Server, token string) int {
	return server.Dial().Ask(roosttest.Head(token)).StatusCode
}

// KeyFile writes a file of the test's own.
func KeyFile(t *testing.T, text ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys.pem")
	if err := os.WriteFile(path, []byte(strings.Join(text, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// LimitDescriptors sets the soft limit of the running server.
func LimitDescriptors(t *testing.T, server *roosttest.Server, n int) {
	t.Helper()
	var limit unix.Rlimit
	err := unix.Prlimit(server.Pid(), unix.RLIMIT_NOFILE, nil, &limit)
	if err == nil {
		limit.Cur = uint64(n)
		err = unix.Prlimit(server.Pid(), unix.RLIMIT_NOFILE, &limit, nil)
	}
	if err != nil {
		t.Fatalf("limiting descriptors to %d: %v", n, err)
	}
}

// StartWithDescriptors starts a server that may open so many descriptors.
func StartWithDescriptors(t *testing.T, descriptors int, env roosttest.Env) (*redistest.Server, *roosttest.Server) {
	t.Helper()
	redis := redistest.Start(t)
	return redis, roosttest.StartWrapped(t, redis, env, "prlimit", fmt.Sprintf("--nofile=%d", descriptors))
}

// CheckTimestamp checks that a time is RFC 3339 in UTC with milliseconds, and about now.
func CheckTimestamp(t *testing.T, stamp string) {
	t.Helper()
	at, err := time.Parse("2006-01-02T15:04:05.000Z", stamp)
	if err != nil || len(stamp) != len("2006-01-02T15:04:05.000Z") {
		t.Fatalf("timestamp %q: %v", stamp, err)
	}
	if ago := time.Since(at); ago < -time.Second || ago > roosttest.Limit {
		t.Errorf("timestamp %s is %s ago", stamp, ago)
	}
}

// WithPresence is what servers need, with the shortest TTL that there is.
var WithPresence = roosttest.Env{"REDIS_PRESENCE": "true", "REDIS_PRESENCE_TTL": "10s"}

// Online runs roost online.
func Online(t *testing.T, redis *redistest.Server, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	env := roosttest.Env{"REDIS_HOST": redis.Host(), "REDIS_PORT": "1", "REDIS_PRESENCE": "true"}
	args = append([]string{"online", "--redis", redis.Addr()}, args...)
	command := roosttest.Run(t, roosttest.Command{Args: args, Env: env})
	code = command.Wait()
	return code, command.Log.String(), command.Stderr.String()
}

// WaitMatch waits until a process has printed something.
func WaitMatch(t *testing.T, process *roosttest.Process, pattern string) (found []string) {
	t.Helper()
	compiled := regexp.MustCompile(pattern)
	roosttest.WaitFor(t, pattern, func() bool {
		found = compiled.FindStringSubmatch(process.Log.String())
		return found != nil || process.Exited()
	})
	if found == nil {
		t.Fatalf("the process ended without printing %s", pattern)
	}
	return found
}

// RefusedFor tries handshakes until one is refused: draining begins with Redis, and only then are connections ended.
func RefusedFor(t *testing.T, server *roosttest.Server, why string) (answer roosttest.Answer) {
	t.Helper()
	roosttest.WaitFor(t, "a handshake to be refused: "+why, func() bool {
		answer = server.Dial().Ask(roosttest.Head(roosttest.Token(t, "late")))
		return answer.StatusCode != http.StatusSwitchingProtocols
	})
	return answer
}

// Children are the processes that a process has started and that run.
func Children(pid int) (pids []int) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, file := range files {
		text, _ := os.ReadFile(file) // a thread may have ended
		for _, field := range strings.Fields(string(text)) {
			if pid, err := strconv.Atoi(field); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// ReplaceFile puts the content of one file in the place of another's.
func ReplaceFile(t *testing.T, old, by string) {
	t.Helper()
	text, err := os.ReadFile(by)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(old, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
