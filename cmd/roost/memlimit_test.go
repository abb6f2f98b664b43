package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"roost/cmd/roost/internal/roosttest"
)

func TestMemoryLimitFromTheEnvironment(t *testing.T) {
	t.Parallel()
	server := roosttest.Launch(t, noRedis{}, roosttest.Env{"GOMEMLIMIT": "200MiB"})
	if got := server.WaitLine("listening")["memory_limit"]; got != float64(200<<20) {
		t.Errorf("memory_limit is %v, want what GOMEMLIMIT says", got)
	}
}

// In a control group of its own the server leaves room for the sockets. GOMEMLIMIT overrides that.
func TestMemoryLimitOfTheControlGroup(t *testing.T) {
	t.Parallel()
	const limit, connections = 256 << 20, 1000
	group := memoryGroup(t, limit)
	join := []string{"sh", "-c", `echo $$ > "$0/cgroup.procs" && exec "$@"`, group}
	env := roosttest.Env{"WS_MAX_CONNECTIONS": strconv.Itoa(connections)}
	server := roosttest.Launch(t, noRedis{}, env, join...)
	got, ok := server.WaitLine("listening")["memory_limit"].(float64)
	if most := 0.9 * limit; !ok || got < limit/2 || got > most-5000*connections {
		t.Errorf("memory_limit is %v, want 90%% of %d less %d sockets", got, limit, connections)
	}
	env["GOMEMLIMIT"] = "off"
	server = roosttest.Launch(t, noRedis{}, env, join...)
	if got := server.WaitLine("listening")["memory_limit"]; got != "none" {
		t.Errorf("memory_limit is %v, although GOMEMLIMIT is off", got)
	}
}

// memoryGroup makes a control group that limits memory, and skips the test where that can't be done.
func memoryGroup(t *testing.T, bytes int) string {
	t.Helper()
	for _, file := range []string{"/sys/fs/cgroup/memory/*/memory.limit_in_bytes", "/sys/fs/cgroup/*/memory.max"} {
		file = strings.Replace(file, "*", fmt.Sprintf("roosttest-%d", os.Getpid()), 1)
		group := filepath.Dir(file)
		if os.Mkdir(group, 0o755) != nil {
			continue
		}
		// Cleanups run in reverse: the processes have ended by then.
		t.Cleanup(func() {
			roosttest.WaitFor(t, "the control group to be empty", func() bool { return os.Remove(group) == nil })
		})
		if limitGroup(file, bytes) == nil {
			return group
		}
	}
	t.Skip("no control group can be made here")
	return ""
}

// limitGroup writes to a file that is there, if the directory is a control group.
func limitGroup(file string, bytes int) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(strconv.Itoa(bytes))
	return err
}
