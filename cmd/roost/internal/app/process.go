package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// An upgrade ends the old process while its child goes on. This file finds out whether the processes around them allow that,
// and watches the child.

// containerInits are programs that end with the process that they have started, and end all others of the container too.
// Names are as in /proc/<pid>/comm, which has 15 characters at most.
var containerInits = []string{"tini", "docker-init", "dumb-init", "catatonit", "conmon", "containerd-shim"}

// shells do the same as the first process of a container. Elsewhere a person uses them.
var shells = []string{"sh", "bash", "dash", "ash", "busybox"}

// upgradeBlocked says why an upgrade would end the service: the child would end with this process. Empty: it would not.
func upgradeBlocked() (reason string) {
	parent := os.Getppid()
	return upgradeBlockedBy(os.Getpid(), parent, comm(parent))
}

// upgradeBlockedBy is upgradeBlocked for a process, its parent, and the parent's name.
func upgradeBlockedBy(pid, parent int, name string) (reason string) {
	switch {
	case pid == 1:
		return "it is the first process of its container (pid 1)"
	case parent == 0:
		return "it was started from outside of its container, which ends with it"
	case slices.Contains(containerInits, name) || (parent == 1 && slices.Contains(shells, name)):
		return fmt.Sprintf("%s (pid %d), which has started it, ends with it", name, parent)
	}
	return ""
}

// comm is the name of a process, empty if it can't be read.
func comm(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// StartTicks is when a process was started: field 22 of /proc/<pid>/stat (proc_pid_stat(5)).
func StartTicks(pid int) (uint64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text[strings.LastIndexByte(string(text), ')')+1:]), " ") // a name may have anything in it
	fields := strings.Fields(rest)
	if len(fields) < 20 {
		return 0, fmt.Errorf("/proc/%d/stat: %d fields", pid, len(fields))
	}
	return strconv.ParseUint(fields[19], 10, 64)
}

// children are the running processes that a process has started. Roost starts only the next process of an upgrade. The list
// is empty where the kernel has none (CONFIG_PROC_CHILDREN).
func children(pid int) []int {
	pids := make([]int, 0) // in the log an empty list, not null
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

const (
	// childEvery is how often an old process checks that the new one runs.
	childEvery = 200 * time.Millisecond
	// childGrace is how long after the new process's end this one may still be told to stop: an operator may stop both.
	childGrace = 2 * time.Second
)

// errChildEnded ends an old process that drains.
var errChildEnded = errors.New("the new process has ended, and nobody serves those who connect")

// watchChild watches the new process while this one, the old one, drains. The new process is this one's child, so a
// supervisor does not see it die. Then this process ends, and the supervisor starts the service again. watchChild returns when
// ctx ends, that is, when this process is told to stop too.
func (s *Service) watchChild(ctx context.Context) {
	ticker := time.NewTicker(childEvery)
	defer ticker.Stop()
	var missed time.Time // since when it does not run
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			switch {
			case hasChildren():
			case missed.IsZero():
				missed = now
			case now.Sub(missed) >= childGrace:
				s.failed <- errChildEnded
				return
			}
		}
	}
}

// hasChildren reports whether a process that this one has started runs.
func hasChildren() bool {
	err := unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	return !errors.Is(err, unix.ECHILD)
}
