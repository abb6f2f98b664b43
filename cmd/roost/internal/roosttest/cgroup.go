package roosttest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

// MemoryGroup is a control group for one process, with a limit on memory.
type MemoryGroup struct {
	dir   string
	limit string // file with the limit, in bytes
	peak  string // file with the most that was charged, in bytes
}

// groups numbers the groups of a test program.
var groups atomic.Int64

// NewMemoryGroup makes a control group that may have so many bytes, of which buffers are for socket buffers: version 1
// counts these apart, and bounds them only where buffers is not 0. The test is skipped where no such group can be made.
func NewMemoryGroup(t testing.TB, bytes, buffers uint64) *MemoryGroup {
	t.Helper()
	name := fmt.Sprintf("roosttest-%d-%d", os.Getpid(), groups.Add(1))
	v1, v2 := "/sys/fs/cgroup/memory/"+name, "/sys/fs/cgroup/"+name
	if makeGroup(t, v1) && set(v1, "memory.limit_in_bytes", bytes-buffers) == nil {
		if buffers > 0 {
			_ = set(v1, "memory.kmem.tcp.limit_in_bytes", buffers) // some kernels don't count them at all
		}
		return &MemoryGroup{dir: v1, limit: "memory.limit_in_bytes", peak: "memory.max_usage_in_bytes"}
	}
	if makeGroup(t, v2) && set(v2, "memory.max", bytes) == nil {
		_ = set(v2, "memory.swap.max", 0) // not there without swap
		return &MemoryGroup{dir: v2, limit: "memory.max", peak: "memory.peak"}
	}
	t.Skip("no control group with a memory limit can be made here")
	return nil
}

func makeGroup(t testing.TB, dir string) bool {
	if os.Mkdir(dir, 0o755) != nil {
		return false
	}
	// Cleanups run in reverse: the processes have ended by then.
	t.Cleanup(func() { WaitFor(t, "the control group to be empty", func() bool { return os.Remove(dir) == nil }) })
	return true
}

// set writes to an existing file, if the directory is a control group.
func set(dir, file string, value uint64) error {
	f, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(strconv.FormatUint(value, 10))
	return err
}

// Limit changes the limit.
func (g *MemoryGroup) Limit(t testing.TB, bytes uint64) {
	t.Helper()
	if err := set(g.dir, g.limit, bytes); err != nil {
		t.Fatalf("limiting the memory of a control group to %d bytes: %v", bytes, err)
	}
}

// Used is what is charged to the group now, in bytes, without pages of files, which the kernel drops where it needs room.
func (g *MemoryGroup) Used(t testing.TB) uint64 {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(g.dir, "memory.stat"))
	if err != nil {
		t.Fatal(err)
	}
	var used uint64
	for line := range strings.Lines(string(text)) {
		var name string
		var bytes uint64
		if _, err := fmt.Sscan(line, &name, &bytes); err != nil {
			continue
		}
		switch name {
		case "total_rss", "total_shmem", "anon", "shmem", "kernel": // the first two are those of version 1
			used += bytes
		}
	}
	return used
}

// Join is a program that joins the group and replaces itself by another: see Command.Wrap.
func (g *MemoryGroup) Join() []string { return JoinGroup(g.dir) }

// JoinGroup is Join for the control group of a directory.
func JoinGroup(dir string) []string {
	return []string{"sh", "-c", `echo $$ > "$0/cgroup.procs" && exec "$@"`, dir}
}

// Peak is the most that was charged to the group, in bytes; 0 where the kernel doesn't say. Socket buffers are in it with
// version 2 only.
func (g *MemoryGroup) Peak() int {
	text, err := os.ReadFile(filepath.Join(g.dir, g.peak))
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return n
}
