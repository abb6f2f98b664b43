package handover

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

// strace attaches to a process with all its threads, but not to what it starts. It returns the file with what strace writes.
func trace(t *testing.T, pid int) (file string) {
	t.Helper()
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("strace is missing: what the old process does after commit is not looked at")
	}
	file = filepath.Join(t.TempDir(), "trace")
	process := roosttest.Run(t, roosttest.Command{Program: "strace", Args: []string{
		"-f", "-y", "-o", file, "-e", "trace=read,write,readv,writev,pread64,pwrite64,recvfrom,recvmsg,sendto,sendmsg,sendfile,shutdown,setsockopt,connect,clone,clone3,fork,vfork,execve",
		"-p", fmt.Sprint(pid),
	}})
	roosttest.WaitFor(t, "strace to attach", func() bool {
		if process.Exited() {
			t.Skipf("strace can't attach here: what the old process does after commit is not looked at\n%s", process.Stderr)
		}
		return strings.Contains(process.Stderr.String(), "attached")
	})
	return file
}

var (
	started = regexp.MustCompile(`^(\d+) +(?:<\.\.\. )?(clone3?|fork|vfork)\b.*= (\d+)`)
	thread  = regexp.MustCompile(`CLONE_THREAD`)
	socket  = regexp.MustCompile(`^\d+ +\w+\(\d+<(socket:\[\d+\])`)
)

// sockets are those that a process has open.
func sockets(t *testing.T, pid int) map[string]bool {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	open := make(map[string]bool)
	for _, entry := range entries {
		if to, err := os.Readlink(filepath.Join(dir, entry.Name())); err == nil && strings.HasPrefix(to, "socket:") {
			open[to] = true
		}
	}
	return open
}

// After commit the old process neither reads from nor writes to, nor shuts down, a connection that it has handed over, nor Redis's.
func TestOldProcessTouchesNothing(t *testing.T) {
	t.Parallel()
	s := start(t, "pattern", nil)
	s.fill(20)
	s.publish(20 * time.Millisecond)
	s.awaitRounds(2)
	old := s.server.Pid()
	file := trace(t, old)
	before := sockets(t, old)
	s.upgrade(1)
	s.awaitRounds(5)
	handed := sockets(t, e2e.LastPid(s.server))
	for name := range handed {
		if !before[name] {
			delete(handed, name)
		}
	}
	if len(handed) < len(s.members)+1 { // and the link to Redis
		t.Fatalf("the processes have had only %d sockets in common", len(handed))
	}
	s.quiet()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	others := make(map[string]bool)  // threads of other processes than the old one
	begun := make(map[string]string) // by thread: the beginning of a call whose end is another line
	calls, committed := 0, false
	for line := range strings.Lines(string(text)) {
		tid, _, _ := strings.Cut(line, " ")
		if strings.Contains(line, "<unfinished ...>") {
			begun[tid] = line
		}
		if m := started.FindStringSubmatch(line); m != nil && (others[m[1]] || !thread.MatchString(begun[tid]+line)) {
			others[m[3]] = true
		}
		if !strings.Contains(line, "<unfinished ...>") {
			delete(begun, tid)
		}
		if strings.Contains(line, "execve(") {
			others[tid] = true // only a new process executes anything
		}
		if others[tid] {
			continue
		}
		if strings.Contains(line, `"commit\0\0`) {
			committed = true
			continue
		}
		if m := socket.FindStringSubmatch(line); m != nil && handed[m[1]] {
			if calls++; committed {
				t.Errorf("after commit: %s", strings.TrimSpace(line))
			}
		}
	}
	if !committed || calls == 0 {
		t.Errorf("committed: %v, %d calls: strace has not seen what it should\n%s", committed, calls, text[:min(len(text), 4000)])
	}
	t.Logf("%d calls on %d sockets before commit", calls, len(handed))
}
