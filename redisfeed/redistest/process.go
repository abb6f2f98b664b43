package redistest

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is one run of redis-server.
type process struct {
	cmd    *exec.Cmd
	log    *output
	exited chan struct{} // closed when it has been waited for
}

// startProcess starts one that cannot outlive the test binary, however that ends.
func startProcess(binary string, args []string) (*process, error) {
	p := &process{cmd: exec.Command(binary, args...), log: newOutput(), exited: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
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
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start redis-server: %w", err)
	}
	return p, nil
}

// kill ends the process, also a stopped one, and waits for it.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// awaitReady waits until the process says that it listens, and then until it answers: something else may be answering
// on the port.
func (p *process) awaitReady(addr string, secured *tls.Config, limit time.Duration) error {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	select {
	case <-p.log.ready:
		return ping(addr, secured, limit)
	case <-p.exited:
		if strings.Contains(p.log.tail(), "Address already in use") {
			return errPortTaken
		}
		return errors.New("redis-server ended at once")
	case <-deadline.C:
		return fmt.Errorf("redis-server was not ready within %s", limit)
	}
}

// ping waits for any answer to PING. It may be a demand for a password.
func ping(addr string, secured *tls.Config, limit time.Duration) error {
	conn, err := net.DialTimeout("tcp", addr, limit)
	if err != nil {
		return fmt.Errorf("connect to redis-server: %w", err)
	}
	defer conn.Close()
	if secured != nil {
		conn = tls.Client(conn, secured)
	}
	_ = conn.SetDeadline(time.Now().Add(limit))
	if _, err := io.WriteString(conn, "PING\r\n"); err != nil {
		return fmt.Errorf("PING redis-server: %w", err)
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		return fmt.Errorf("redis-server does not answer PING: %w", err)
	}
	return nil
}

// output keeps the end of what a process prints and notices when redis-server is ready.
type output struct {
	ready chan struct{} // closed on the line that says so

	mu      sync.Mutex // guards the rest
	buf     []byte
	isReady bool
}

const (
	readyLine     = "Ready to accept connections"
	sentinelReady = "Sentinel ID is"
	outputKept    = 16 << 10
)

func newOutput() *output { return &output{ready: make(chan struct{})} }

// Write implements io.Writer; exec's copying goroutine calls it.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buf = append(o.buf, b...)
	if !o.isReady && (bytes.Contains(o.buf, []byte(readyLine)) || bytes.Contains(o.buf, []byte(sentinelReady))) {
		o.isReady = true
		close(o.ready)
	}
	if extra := len(o.buf) - outputKept; extra > 0 {
		o.buf = append(o.buf[:0], o.buf[extra:]...)
	}
	return len(b), nil
}

func (o *output) tail() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.buf)
}
