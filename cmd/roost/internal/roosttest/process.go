package roosttest

import (
	"crypto/rand"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Env is variables for a process, on top of nearly none.
type Env map[string]string

// Command says what to run.
type Command struct {
	Args []string // the subcommand and its arguments
	Env  Env
	Wrap []string // a program and its arguments that replaces itself by roost: prlimit, say

	Files []*os.File // handed to it, from descriptor 3 on

	// Program is what to run instead of roost: a proxy, say. It has to end on SIGTERM, as roost does, and to take its
	// children with it.
	Program string
}

// argv is the command line; death is the signal that the process gets when the tests die.
func (c *Command) argv(t testing.TB) (argv []string, death syscall.Signal) {
	t.Helper()
	if c.Program != "" {
		return slices.Concat(c.Wrap, []string{c.Program}, c.Args), syscall.SIGTERM
	}
	return slices.Concat(c.Wrap, []string{Binary(t)}, c.Args), syscall.SIGKILL
}

// Process is a program, roost mostly, that runs, or has run.
type Process struct {
	t      testing.TB
	cmd    *exec.Cmd
	Log    *Log          // its standard output
	Stderr *Log          // its standard error
	exited chan struct{} // closed when it has been waited for
	told   bool          // the test knows how it ended
	mark   string        // in its environment, and of all that it starts

	foreign bool // not roost
}

// Run starts a process that cannot outlive the test, however that ends.
func Run(t testing.TB, c Command) *Process {
	t.Helper()
	argv, death := c.argv(t)
	p := &Process{t: t, cmd: exec.Command(argv[0], argv[1:]...), Log: new(Log), Stderr: new(Log), exited: make(chan struct{})}
	p.foreign, p.mark = c.Program != "", "TEST_PROCESS="+rand.Text()
	p.cmd.Stdout, p.cmd.Stderr = p.Log, p.Stderr
	p.cmd.Env, p.cmd.ExtraFiles = append(environment(c.Env), p.mark), c.Files
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: death}
	if err := p.start(); err != nil {
		t.Fatalf("roosttest: %v", err)
	}
	t.Cleanup(p.cleanup)
	return p
}

// environment holds what programs need and c's variables, and nothing that the tests' own environment may have set
// for a server.
func environment(env Env) []string {
	all := Env{
		"PATH": os.Getenv("PATH"), "HOME": os.Getenv("HOME"), "TMPDIR": os.TempDir(),
		"GORACE": "atexit_sleep_ms=10", // instead of a second for each process
	}
	maps.Copy(all, env)
	var list []string
	for name, value := range all {
		list = append(list, name+"="+value)
	}
	return list
}

func (p *Process) start() error {
	started := make(chan error, 1)
	go func() {
		// Pdeathsig fires when the thread that started the process ends, so that thread has to stay.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.exited)
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait()
		}
	}()
	return <-started
}

// Pid is the process's id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Heirs are the processes that this one has started, and those that these have, such as those of upgrades, whether it still runs
// or not. One that has ended is none, though nobody has waited for it yet.
func (p *Process) Heirs() (pids []int) {
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range files {
		text, _ := os.ReadFile(file) // empty where it has ended
		if !slices.Contains(strings.Split(string(text), "\x00"), p.mark) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil && pid != p.Pid() {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Signal sends a signal. A process that has ended gets none.
func (p *Process) Signal(sig os.Signal) { _ = p.cmd.Process.Signal(sig) }

// Exited says whether the process has ended.
func (p *Process) Exited() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// Wait waits until the process has ended and returns its exit code, -1 if a signal ended it.
func (p *Process) Wait() int {
	p.t.Helper()
	WaitFor(p.t, "the process to end", p.Exited)
	p.told = true
	return p.cmd.ProcessState.ExitCode()
}

// EndedBy is the signal that ended the process, -1 if none did. To be called after Wait.
func (p *Process) EndedBy() syscall.Signal {
	if status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok {
		return status.Signal()
	}
	return -1
}

// Stop asks the process to stop, as a supervisor does, and waits.
func (p *Process) Stop() int {
	p.t.Helper()
	p.Signal(syscall.SIGTERM)
	return p.Wait()
}

// WaitLine waits for a line of the log (see Log.Find) and returns the first one.
func (p *Process) WaitLine(message string, fields ...any) Line {
	p.t.Helper()
	var found []Line
	WaitFor(p.t, "the log line "+message, func() bool {
		found = p.Log.Find(message, fields...)
		return len(found) > 0 || p.Exited()
	})
	if found = p.Log.Find(message, fields...); len(found) == 0 {
		p.t.Fatalf("the process ended without the log line %q %v", message, fields)
	}
	return found[0]
}

// endedWell judges the end that SIGTERM brought. Of a program that is not roost the signal itself is good enough.
func (p *Process) endedWell() bool {
	state := p.cmd.ProcessState
	status, _ := state.Sys().(syscall.WaitStatus)
	return state.ExitCode() == 0 || (p.foreign && status.Signaled() && status.Signal() == syscall.SIGTERM)
}

// cleanup ends the process. If it still runs it has to end with 0, whatever the test did with it.
func (p *Process) cleanup() {
	if !p.told {
		p.Signal(syscall.SIGTERM)
		if !within(Limit, p.Exited) {
			p.t.Errorf("the process did not end within %s of SIGTERM", Limit)
			p.Signal(syscall.SIGABRT) // shows what its goroutines do
			within(Limit, p.Exited)
		}
		if p.Exited() && !p.endedWell() {
			p.t.Errorf("the process ended with %s", p.cmd.ProcessState)
		}
	}
	p.Signal(syscall.SIGKILL)
	<-p.exited
	if strings.Contains(p.Stderr.String(), "DATA RACE") {
		p.t.Error("the race detector found a race")
	}
	if strings.Contains(p.Log.String(), "handling failed") {
		p.t.Error("a panic was caught")
	}
	if p.t.Failed() {
		p.t.Logf("%v printed:\n%s\nand on standard error:\n%s", p.cmd.Args, p.Log.tail(), p.Stderr.tail())
	}
}
