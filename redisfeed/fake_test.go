package redisfeed

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"roost/redisfeed/publish"
)

// fakeRedis is a server that confirms subscriptions and then says what no Redis should. Static once it has started,
// but for what mu guards.
type fakeRedis struct {
	addr string

	auth  string                   // answers AUTH; empty: properly
	mute  string                   // the kind of subscription, or the channel, that is not confirmed; empty: none
	after func(n int) (odd string) // sent after the n-th link's subscriptions, counted from 1; hangUp closes

	mu       sync.Mutex
	links    int      // that subscribed
	last     net.Conn // of these, the connection of the last one
	accepted int      // connections

	wg sync.WaitGroup
}

// hangUp is what fakeRedis says to close the connection.
const hangUp = "hang up"

// start starts the server; the test's end stops it.
func (f *fakeRedis) start(t *testing.T) {
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
			f.mu.Lock()
			f.accepted++
			f.mu.Unlock()
			f.wg.Go(func() { f.serve(conn) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		f.wg.Wait()
	})
}

func (f *fakeRedis) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		args, err := readCommand(in)
		if err != nil {
			return
		}
		if strings.EqualFold(args[0], "psubscribe") {
			f.mu.Lock()
			f.last = conn
			f.mu.Unlock()
		}
		answer, end := strings.CutSuffix(f.answer(args), hangUp)
		fmt.Fprint(conn, answer)
		if end {
			return
		}
	}
}

// say sends something to the link that subscribed last.
func (f *fakeRedis) say(t *testing.T, what string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := fmt.Fprint(f.last, what); err != nil {
		t.Fatal(err)
	}
}

func (f *fakeRedis) answer(args []string) string {
	switch strings.ToLower(args[0]) {
	case "hello":
		return "*2\r\n$5\r\nproto\r\n:2\r\n"
	case "auth":
		if f.auth != "" {
			return f.auth
		}
		return "+OK\r\n"
	case "subscribe":
		return f.confirm("subscribe", args[1:])
	case "psubscribe":
		f.mu.Lock()
		f.links++
		n := f.links
		f.mu.Unlock()
		return f.confirm("psubscribe", args[1:]) + f.after(n)
	}
	return ":0\r\n"
}

func (f *fakeRedis) confirm(kind string, channels []string) string {
	if kind == f.mute {
		return ""
	}
	var all strings.Builder
	for _, channel := range channels {
		if channel != f.mute {
			all.WriteString(confirmed(kind, channel))
		}
	}
	return all.String()
}

func confirmed(kind, channel string) string {
	return fmt.Sprintf("*3\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n:1\r\n", len(kind), kind, len(channel), channel)
}

// readCommand reads an array of bulk strings without line breaks.
func readCommand(in *bufio.Reader) ([]string, error) {
	var count int
	if _, err := fmt.Fscanf(in, "*%d\r\n", &count); err != nil {
		return nil, err
	}
	args := make([]string, count)
	for i := range args {
		var size int
		if _, err := fmt.Fscanf(in, "$%d\r\n", &size); err != nil {
			return nil, err
		}
		line, err := in.ReadString('\n')
		if err != nil {
			return nil, err
		}
		args[i] = strings.TrimSuffix(line, "\r\n")
	}
	return args, nil
}

// chatter is a server that answers everything with notifications, every few milliseconds, and confirms nothing.
func chatter(t *testing.T) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			if _, err := fmt.Fprint(conn, goodMessage); err != nil {
				return
			}
			<-tick.C
		}
	}()
	t.Cleanup(func() {
		ln.Close()
		<-done
	})
	return ln.Addr().String()
}

// Patterns that a feed is subscribed to.
const (
	pattern        = publish.ChannelPrefix + "*"
	controlPattern = publish.ControlPrefix + "*"
	groupPattern   = publish.GroupPrefix + "*"
)
