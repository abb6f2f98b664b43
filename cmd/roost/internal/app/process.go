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

// What the processes around this one mean for an upgrade, in which the old process ends and its child goes on.

// oneChild are programs that end when the process that they have started ends, and all others of the container with
// them: inits of containers, and what runs a container whose processes share the host's pids. Names as in
// /proc/<pid>/comm, which has 15 characters at most.
var oneChild = []string{"tini", "docker-init", "dumb-init", "catatonit", "conmon", "containerd-shim"}

// shells do so only as the first process: elsewhere somebody types into them.
var shells = []string{"sh", "bash", "dash", "ash", "busybox"}

// endsWithUs says why the end of this process would be that of its child too, or nothing where it would not.
func endsWithUs() (reason string) {
	parent := os.Getppid()
	return endsWith(os.Getpid(), parent, comm(parent))
}

// endsWith is endsWithUs for a process, its parent, and the parent's name.
func endsWith(pid, parent int, name string) (reason string) {
	switch {
	case pid == 1:
		return "it is the first process of its container (pid 1)"
	case parent == 0:
		return "it was started from outside of its container, which ends with it"
	case slices.Contains(oneChild, name) || (parent == 1 && slices.Contains(shells, name)):
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

// children are the processes that a process has started and that are there. Roost starts none but its successor. None are
// known where the kernel does not list them (CONFIG_PROC_CHILDREN).
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
	// childEvery is how often the process that was replaced looks whether the new one is there.
	childEvery = 200 * time.Millisecond
	// childGrace is how long somebody who stops both has for telling this one, after the new one has ended.
	childGrace = 2 * time.Second
)

// errChildEnded ends what is left of a process that was replaced.
var errChildEnded = errors.New("the new process has ended, and nobody serves those who connect")

// watchChild is for the process that was replaced, while it lets its connections go. When the new process dies
// meanwhile a supervisor does not see it: it is the child of this one. So this one has to end, for the service to be
// started anew. It goes on until ctx ends, which is when this process is asked to stop: who stops the service asks both,
// and then this one has its time.
func (s *Service) watchChild(ctx context.Context) {
	ticker := time.NewTicker(childEvery)
	defer ticker.Stop()
	var missed time.Time // since when it is not there
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

// hasChildren reports whether a process that this one has started is there. Roost starts none but its successor.
func hasChildren() bool {
	err := unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	return !errors.Is(err, unix.ECHILD)
}
