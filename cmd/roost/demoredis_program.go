//go:build !demo && linux && !client

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

var errNoDemoRedis = errors.New("the demo needs a Redis: there is no redis-server or valkey-server in PATH, and this roost has none inside. " +
	"Install one of them, or run \"make run\" in a copy of the source, which builds roost with a Redis inside (go build -tags demo)")

const (
	demoRedisStart = 10 * time.Second // how long redis-server may take to be ready
	demoRedisTries = 3                // somebody else may take the port that was free
)

// startDemoRedis starts a redis-server from PATH, which ends with this process.
func startDemoRedis(ctx context.Context) (demoRedis, error) {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		program, err = exec.LookPath("valkey-server")
	}
	if err != nil {
		return demoRedis{}, errNoDemoRedis
	}
	for range demoRedisTries {
		var port int
		if port, err = freeDemoPort(); err != nil {
			return demoRedis{}, err
		}
		var p *redisProgram
		if p, err = startRedisProgram(ctx, program, port); err == nil {
			return demoRedis{port: port, stop: p.stop}, nil
		}
	}
	return demoRedis{}, fmt.Errorf("starting %s: %w", program, err)
}

func freeDemoPort() (int, error) {
	listener, err := net.Listen("tcp4", net.JoinHostPort(demoHost, strconv.Itoa(demoPort)))
	if err != nil {
		listener, err = net.Listen("tcp4", net.JoinHostPort(demoHost, "0"))
	}
	if err != nil {
		return 0, fmt.Errorf("a port for the demo's Redis: %w", err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

type redisProgram struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed when the process has been waited for
}

// startRedisProgram starts a Redis that stores nothing and waits until it is ready.
func startRedisProgram(ctx context.Context, program string, port int) (*redisProgram, error) {
	p := &redisProgram{exited: make(chan struct{})}
	p.cmd = exec.Command(program, "--port", strconv.Itoa(port), "--bind", demoHost, "--save", "", "--appendonly", "no")
	// Ctrl-C goes to Roost alone, which stops Redis after it has closed its connections.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	output, input := io.Pipe()
	p.cmd.Stdout, p.cmd.Stderr = input, input
	if err := p.start(input); err != nil {
		return nil, err
	}
	ready := make(chan error, 1)
	go func() { ready <- readUntilReady(output) }()
	ctx, cancel := context.WithTimeout(ctx, demoRedisStart)
	defer cancel()
	var err error
	select {
	case err = <-ready:
	case <-ctx.Done():
		err = fmt.Errorf("it is not ready: %w", ctx.Err())
	}
	if err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// start starts the process, and closes its output when it has ended.
func (p *redisProgram) start(output io.Closer) error {
	started := make(chan error, 1)
	go func() {
		defer close(p.exited)
		runtime.LockOSThread() // Pdeathsig comes when the thread that started the process ends
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait()
		}
		_ = output.Close()
	}()
	return <-started
}

func (p *redisProgram) stop() {
	_ = p.cmd.Process.Kill() // it stores nothing
	<-p.exited
}

// readUntilReady reads what Redis prints, to its end, and returns when it is ready, or has ended with what it said last.
func readUntilReady(output io.Reader) error {
	lines := bufio.NewScanner(output)
	last := ""
	for lines.Scan() {
		if strings.Contains(lines.Text(), "Ready to accept connections") {
			go func() { _, _ = io.Copy(io.Discard, output) }()
			return nil
		}
		if lines.Text() != "" {
			last = lines.Text()
		}
	}
	return fmt.Errorf("it ended, saying %q", last)
}
