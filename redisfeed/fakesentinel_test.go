package redisfeed

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"roost/redisfeed/internal/topology"
)

// fakeSentinel says what a test wants it to say.
type fakeSentinel struct {
	addr string

	mu      sync.Mutex // guards the rest
	master  topology.Master
	silent  bool
	refuses bool
	asked   int

	wg sync.WaitGroup
}

// say makes it name a master.
func (f *fakeSentinel) say(m topology.Master) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.master = m
}

// refuse makes it answer with an error.
func (f *fakeSentinel) refuse() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refuses = true
}

// shut makes it answer nothing.
func (f *fakeSentinel) shut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.silent = true
}

func (f *fakeSentinel) questions() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}

// start starts the sentinel; the test's end stops it.
func (f *fakeSentinel) start(t *testing.T) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.addr = ln.Addr().String()
	f.wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
			f.wg.Go(func() { f.serve(conn) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		f.wg.Wait()
	})
}

func (f *fakeSentinel) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		args, err := readCommand(in)
		if err != nil {
			return
		}
		fmt.Fprint(conn, f.answer(strings.ToLower(strings.Join(args, " "))))
	}
}

func (f *fakeSentinel) answer(command string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case strings.HasPrefix(command, "hello"):
		return "*2\r\n$5\r\nproto\r\n:2\r\n"
	case strings.HasPrefix(command, "sentinel master "):
		f.asked++
		if f.silent {
			return ""
		}
		if f.refuses {
			return "-ERR not now\r\n"
		}
		epoch := fmt.Sprint(f.master.Epoch)
		return fmt.Sprintf("*2\r\n$12\r\nconfig-epoch\r\n$%d\r\n%s\r\n", len(epoch), epoch)
	case strings.HasPrefix(command, "sentinel get-master-addr-by-name "):
		host, port, _ := net.SplitHostPort(f.master.Addr)
		return fmt.Sprintf("*2\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(host), host, len(port), port)
	}
	return "-ERR unknown command\r\n"
}
