package netpoll

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/sys/unix"

	"roost/hub"
)

// askHealth is a client with one question.
func askHealth(addr string) (answer string, err error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		return "", err
	}
	b, err := io.ReadAll(conn)
	return string(b), err
}

func (r *rig) isOpen() bool { return r.server.plain.isOpen() || r.server.secure.isOpen() }

// A client in the accept queue when the port closes gets its answer.
func TestAcceptQueueIsEmptiedBeforeThePortCloses(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *Config) { c.Loops = 1; c.LingerTimeout = 2 * time.Second })
	eventually(t, "the port is open", r.isOpen)
	release := r.server.loops[0].hold()
	defer release()
	var asking sync.WaitGroup
	var connected atomic.Int32
	const clients = 100
	for range clients {
		conn, err := r.dialTCP()
		if err != nil {
			t.Fatal(err)
		}
		connected.Add(1)
		asking.Go(func() {
			defer func() { _ = conn.Close() }()
			_ = conn.SetDeadline(time.Now().Add(patience))
			_, _ = io.WriteString(conn, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
			if b, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 200 ") {
				t.Errorf("answer %.30q, %v", b, err)
			}
		})
	}
	stopped := make(chan struct{})
	go func() { r.server.StopAccepting(t.Context(), false); close(stopped) }()
	select { // it has to wait for the loop
	case <-stopped:
		t.Error("the port closed while clients were in its queue")
	case <-time.After(2 * backlogWait):
	}
	release()
	asking.Wait()
	<-stopped
	if _, err := r.dialTCP(); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a connect after it: %v, want one that is refused", err)
	}
}

// Clients connect all the time while the server stops: each gets an answer or is refused, and none is reset.
func TestNobodyIsResetWhileThePortCloses(t *testing.T) {
	t.Parallel()
	for range 5 {
		r := start(t, func(c *Config) { c.LingerTimeout = 10 * time.Second })
		var clients sync.WaitGroup
		var answered atomic.Int32
		for range 8 {
			clients.Go(func() {
				for {
					begun := time.Now()
					answer, err := askHealth(r.addr)
					if errors.Is(err, syscall.ECONNREFUSED) {
						return
					}
					if err != nil || !strings.HasPrefix(answer, "HTTP/1.1 200 ") {
						// A reset is right where the end of the TCP handshake comes that late, or the request still later: on a busy machine.
						if time.Since(begun) >= backlogWait {
							continue
						}
						t.Errorf("answer %.30q, %v", answer, err)
						return
					}
					answered.Add(1)
				}
			})
		}
		eventually(t, "clients are answered", func() bool { return answered.Load() > 50 })
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		if err := r.server.Shutdown(ctx, GoingAway()); err != nil {
			t.Error(err)
		}
		cancel()
		clients.Wait()
	}
}

// sharedPort is a server whose port another process has too, by file.
func sharedPort(t *testing.T) (r *rig, addr string, file *os.File) {
	t.Helper()
	ln, err := Listen(t.Context(), ListenConfig{Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	if file, err = ln.File(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	r = startOn(t, nil, ln)
	eventually(t, "the port is open", func() bool {
		r.server.plain.mu.Lock()
		defer r.server.plain.mu.Unlock()
		return r.server.plain.fd != 0
	})
	return r, ln.Addr().String(), file
}

// A port that another process has too is let go of, and works on there.
func TestSharedPortIsLetGoOf(t *testing.T) {
	t.Parallel()
	r, addr, file := sharedPort(t)
	if answer, err := askHealth(addr); err != nil || !strings.HasPrefix(answer, "HTTP/1.1 200 ") {
		t.Fatalf("answer %.30q, %v", answer, err)
	}
	r.server.StopAccepting(t.Context(), true)
	accepted := r.server.Stats().SocketsOpened
	waiting, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatalf("the other can't be connected to: %v", err)
	}
	defer func() { _ = waiting.Close() }()
	eventually(t, "the other has somebody to accept", func() bool {
		n, _ := unix.Poll([]unix.PollFd{{Fd: int32(file.Fd()), Events: unix.POLLIN}}, 0)
		return n == 1
	})
	// A loop that the kernel still tells of it has no rest. It is asked at once, as a sleeping one would be.
	for _, l := range r.server.loops {
		events := make([]unix.EpollEvent, 8)
		n, err := l.poll.wait(events, 0)
		if err != nil || slices.ContainsFunc(events[:max(n, 0)], func(e unix.EpollEvent) bool { return e.Fd == portMark }) {
			t.Errorf("loop %d still hears of the port: %v, %v", l.index, events, err)
		}
	}
	if n := r.server.Stats().SocketsOpened; n != accepted {
		t.Error("accepted after it was let go of")
	}
}

// A port that is given up before it is open stays closed, and is not touched: another process may have it.
func TestPortIsGivenUpBeforeItIsOpen(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	ln, err := Listen(t.Context(), ListenConfig{Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	file, err := ln.File()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	late, err := New(r.server.cfg)
	if err != nil {
		t.Fatal(err)
	}
	late.StopAccepting(t.Context(), true)
	if err := late.listenOn(ln, &late.plain); err != nil { // the first that Serve does
		t.Error(err)
	}
	if err := late.Shutdown(t.Context(), GoingAway()); err != nil {
		t.Error(err)
	}
	next, err := net.FileListener(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = next.Close() }()
	conn, err := net.DialTimeout("tcp", ln.Addr().String(), patience)
	if err != nil {
		t.Fatalf("the other process's socket: %v", err)
	}
	_ = conn.Close()
}

// needsSocketFilters skips a test where the kernel lets this user set none.
func needsSocketFilters(t *testing.T) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(noSYN)), Filter: &noSYN[0]}); err != nil {
		t.Skip("no socket filters for this user on this kernel:", err)
	}
}

// Nobody new is let in while the queue is emptied, and whoever is there already goes on.
func TestNobodyIsLetInBeforeThePortCloses(t *testing.T) {
	t.Parallel()
	needsSocketFilters(t)
	r := start(t, func(c *Config) { c.LingerTimeout = 2 * time.Second })
	conn, err := r.dialTCP()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	eventually(t, "the port is open", r.server.plain.dropSYNs)
	if late, err := net.DialTimeout("tcp", r.addr, 300*time.Millisecond); err == nil {
		_ = late.Close()
		t.Error("a connect was let in")
	} else if errors.Is(err, syscall.ECONNREFUSED) {
		t.Error("the port is closed already")
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(conn, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
	if b, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 200 ") {
		t.Errorf("answer %.30q, %v", b, err)
	}
}

// A client that was in the queue has a moment to send its request.
func TestLastToBeAcceptedMayAsk(t *testing.T) {
	t.Parallel()
	for lastMayAsk(t) { // on a busy machine this test may ask too late
	}
}

// lastMayAsk reports whether nothing can be said, because it has asked later than a client may.
func lastMayAsk(t *testing.T) (late bool) {
	r := start(t, func(c *Config) { c.Loops = 1; c.LingerTimeout = patience })
	eventually(t, "the port is open", r.isOpen) // else what waits in its queue is none of the server's
	release := r.server.loops[0].hold()
	defer release()
	conn, err := r.dialTCP()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	ended := make(chan error, 1)
	go func() { ended <- r.server.Shutdown(t.Context(), GoingAway()) }()
	eventually(t, "the server drains", r.server.draining.Load)
	accepted := time.Now()
	release()
	eventually(t, "the port is closed", func() bool { return !r.isOpen() })
	for range 2 { // what the end of the port put on the loop
		turned := make(chan struct{})
		r.server.loops[0].do(func() { close(turned) })
		select {
		case <-turned:
		case err := <-ended: // and the loop with it, which then does nothing more
			if err != nil || time.Since(accepted) <= lastRequestWait {
				t.Fatalf("the client had no time to ask: %v", err)
			}
			return true
		}
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(conn, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
	if b, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 200 ") {
		if late = time.Since(accepted) > lastRequestWait*3/4; !late { // also where the loop was late with what came in time
			t.Errorf("answer %.30q, %v", b, err)
		}
	}
	_ = conn.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	return late
}

// A loop that is late closes sockets whose time is over by itself: Shutdown tells of those alone that had time left.
func TestShutdownTellsWhatItCut(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	r.dial()
	eventually(t, "it is accepted", func() bool { return r.server.Stats().Sockets == 1 })
	late, other := r.server.loops[0], r.server.loops[1]
	if other.stats.sockets.Load() > 0 {
		late, other = other, late
	}
	release := late.hold()
	defer release()
	ended := make(chan error, 1)
	go func() { ended <- r.server.Shutdown(t.Context(), GoingAway()) }()
	eventually(t, "the other loop has ended", func() bool {
		other.mu.Lock()
		defer other.mu.Unlock()
		return other.ended
	})
	release()
	if err := <-ended; err != nil {
		t.Errorf("of a socket whose time was over: %v", err)
	}

	r = start(t, func(c *Config) { c.LingerTimeout = time.Hour })
	r.upgrade("alice")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.server.Shutdown(ctx, GoingAway()); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), " 1 sockets were closed at once") {
		t.Errorf("of a client that has not answered its close frame: %v", err)
	}
}

// Connections are let go one after another, and get what is delivered until then.
func TestDepart(t *testing.T) {
	t.Parallel()
	const connections, over = 60, time.Second
	r := start(t, nil)
	var gone atomic.Int64
	var wg sync.WaitGroup
	var late atomic.Int64 // got the notification that was delivered half-way
	for i := range connections {
		c := r.connect(fmt.Sprint("user", i))
		wg.Go(func() {
			for {
				_ = c.SetReadDeadline(time.Now().Add(5 * patience)) // others have to connect yet, and to be let go
				_, _, err := c.ReadMessage()
				if err == nil {
					late.Add(1)
					continue
				}
				if !websocket.IsCloseError(err, websocket.CloseGoingAway) {
					t.Errorf("connection %d ended with %v", i, err)
				}
				gone.Add(1)
				return
			}
		})
	}
	// First slowly, so that some are left however late this is looked at.
	slowly, stop := context.WithCancel(t.Context())
	defer stop()
	drained := make(chan struct{})
	go func() { r.server.Drain(slowly, Restarting(), patience); close(drained) }()
	eventually(t, "some are gone", func() bool { return gone.Load() > 0 })
	left := 0
	for i := range connections {
		left += r.hub.ConnectionsOf(fmt.Sprint("user", i))
		r.hub.Deliver(fmt.Sprint("user", i), `{"type":"still here"}`)
	}
	r.server.Flush()
	if left == 0 {
		t.Error("all went at once")
	}
	stop()
	<-drained
	begun := time.Now()
	r.server.Drain(t.Context(), Restarting(), over)
	wg.Wait()
	if took := time.Since(begun); took < over*9/10 {
		t.Errorf("all were gone after %s, want about %s", took, over)
	}
	// Between the count and the delivery some may have gone.
	if got := int(late.Load()); got > left || got == 0 {
		t.Errorf("%d got what was delivered when %d were left", got, left)
	}
	if n := r.server.Stats().Ended["restart"]; n != connections {
		t.Errorf("%d ended by it", n)
	}
	r.balanced()
}

// With nobody there it does not wait.
func TestDepartOfNobody(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	r.server.Drain(t.Context(), Restarting(), time.Hour)
}

// A connection ends when it is old enough, and those that came together do not end
// together.
func TestMaxAge(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *Config) { c.MaxAge = 2 * time.Second })
	begun := time.Now()
	c := r.connect("alice")
	_ = c.SetReadDeadline(begun.Add(patience))
	_, _, err := c.ReadMessage()
	if !websocket.IsCloseError(err, websocket.CloseGoingAway) {
		t.Fatalf("it ended with %v", err)
	}
	// A fifth less, and a second because an age is kept to the second.
	if took := time.Since(begun); took < 600*time.Millisecond {
		t.Errorf("it ended after %s", took)
	}
	eventually(t, "it is counted", func() bool { return r.server.Stats().Ended["max_age"] == 1 })
}

func TestAgesDiffer(t *testing.T) {
	t.Parallel()
	const age = 1000 * time.Second
	l := &loop{server: &Server{cfg: Config{MaxAge: age}}}
	h := hub.New(hub.Config{})
	seen := make(map[time.Duration]bool)
	for fd := range int32(1000) {
		c := &conn{fd: fd, loop: l}
		l.server.conns.Set(fd, c)
		l.server.conns.SetOpened(fd, 5*time.Second)
		_, _, _ = h.Admit(c, fmt.Sprint("user", fd))
		at := c.maxAgeAt() - 5*time.Second
		if at > age || at < age*8/10 {
			t.Fatalf("descriptor %d: %s", fd, at)
		}
		c.fd += 1000 // as in another process
		l.server.conns.Set(c.fd, c)
		l.server.conns.SetOpened(c.fd, 5*time.Second)
		if again := c.maxAgeAt() - 5*time.Second; again != at {
			t.Fatalf("%s, and then %s", at, again)
		}
		seen[at.Round(time.Second)] = true
	}
	if len(seen) < 150 {
		t.Errorf("of 1000 connections only %d ages differ by more than a second", len(seen))
	}
}
