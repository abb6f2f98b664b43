// Package child starts programs that do not outlive this one, waits until they are
// ready, and ends them. It ends what it started and nothing else.
package child

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// stopLimit is how long a server may take to end before it is killed.
const stopLimit = 30 * time.Second

// Process is something that we started. One goroutine uses it.
type Process struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed when it has been waited for
	err    error         // how it ended; read after exited
	orders io.Closer     // of Talk; nil otherwise
}

// Start starts a program whose output goes to a file.
func Start(output string, env []string, name string, args ...string) (*Process, error) {
	return start(output, env, exec.Command(name, args...))
}

// Talk is Start for a program that takes orders on its standard input, until it
// ends, and answers on its standard output.
func Talk(output string, env []string, name string, args ...string) (*Process, io.Writer, io.Reader, error) {
	cmd := exec.Command(name, args...)
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2); err != nil {
		return nil, nil, nil, err
	}
	p, err := start(output, env, cmd)
	if err != nil {
		return nil, nil, nil, err
	}
	p.orders = in
	return p, in, out, nil
}

func start(output string, env []string, cmd *exec.Cmd) (*Process, error) {
	file, err := os.Create(output)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	p := &Process{cmd: cmd, exited: make(chan struct{})}
	if cmd.Stdout == nil {
		cmd.Stdout = file
	}
	cmd.Stderr = file
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		// The kernel sends the signal when the thread that started it ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		started <- p.cmd.Start()
		if p.cmd.Process != nil {
			p.err = p.cmd.Wait()
		}
		close(p.exited)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", cmd.Path, err)
	}
	return p, nil
}

// PID is its number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Stop asks it to end, and insists after a while.
func (p *Process) Stop() {
	if p.orders != nil {
		_ = p.orders.Close()
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(stopLimit):
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
}

// Await waits until ready says so, the process has ended, or ctx has.
func (p *Process) Await(ctx context.Context, ready func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for !ready() {
		select {
		case <-p.exited:
			return fmt.Errorf("%s ended: %w", filepath.Base(p.cmd.Path), p.err)
		case <-ctx.Done():
			return fmt.Errorf("%s does not get ready: %w", filepath.Base(p.cmd.Path), ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}
