package netpoll

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

func TestCloseIsAnsweredAndThenTheServerCloses(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	client := r.upgrade("alice")
	if _, err := client.Write(masked(0x88, "\x03\xe8bye")); err != nil {
		t.Fatal(err)
	}
	if opcode, payload := client.readFrame(t); opcode != 0x88 || string(payload) != "\x03\xe8" {
		t.Fatalf("answer: %x % x, want a close frame with 1000", opcode, payload)
	}
	if _, err := client.r.ReadByte(); err != io.EOF {
		t.Fatalf("after the answer: %v, want EOF", err)
	}
	eventually(t, "counted", func() bool { return r.server.Stats().Ended["client_closed"] == 1 })
}

func TestViolationsAreAnswered(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *Config) { c.MaxMessage = 100 })
	for name, tc := range map[string]struct {
		send   string
		code   int
		reason string
	}{
		"unmasked":        {"\x81\x01x", 1002, "protocol_error"},
		"not UTF-8":       {string(masked(0x81, "\xff")), 1007, "invalid_text"},
		"message too big": {string(masked(0x81, strings.Repeat("x", 101))), 1009, "message_too_big"},
		"reserved opcode": {string(masked(0x83, "")), 1002, "protocol_error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := r.upgrade("alice")
			if _, err := io.WriteString(client, tc.send); err != nil {
				t.Fatal(err)
			}
			opcode, payload := client.readFrame(t)
			if code := int(payload[0])<<8 | int(payload[1]); opcode != 0x88 || code != tc.code {
				t.Fatalf("answer: %x, code %d; want a close frame with %d", opcode, code, tc.code)
			}
			eventually(t, "counted", func() bool { return r.server.Stats().Ended[tc.reason] > 0 })
		})
	}
}

// Frames split at every byte, several in one segment, behind the head.
func TestPingsAreAnsweredHoweverTheyAreSplit(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	client := r.upgrade("alice")
	var stream []byte
	for i := range 10 {
		stream = append(stream, masked(0x89, fmt.Sprint("ping ", i))...)
		stream = append(stream, masked(0x81, "a text")...)
	}
	for i := range stream {
		if _, err := client.Write(stream[i : i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := client.Write(stream); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for i := range 10 {
			if opcode, payload := client.readFrame(t); opcode != 0x8a || string(payload) != fmt.Sprint("ping ", i) {
				t.Fatalf("answer %d: %x %q", i, opcode, payload)
			}
		}
	}
}

// A flood of pings from a client that reads nothing costs one pong of memory.
func TestPingFloodWithoutReading(t *testing.T) {
	t.Parallel()
	inOneOfMany(t, "the client's kernel dropped what the server sent, in each attempt", floodsWithPings)
}

// floodsWithPings returns false if the server can't read all of the flood.
func floodsWithPings(t *testing.T) bool {
	r := start(t, nil)
	if r.upgrade("alice").flood(r, bytes.Repeat(masked(0x89, strings.Repeat("p", 125)), 100)) == 0 {
		return false
	}
	checked := make(chan int, 2)
	for _, l := range r.server.loops {
		l.do(func() {
			most := 0
			l.wheel.Each(func(c *conn) {
				if c.out != nil {
					most = c.out.ControlBytes()
				}
			})
			checked <- most
		})
	}
	if waiting := max(<-checked, <-checked); waiting > 2*127 {
		t.Errorf("%d bytes of pongs wait, want two pongs at most", waiting)
	}
	return true
}

// flood sends frames, which are answered, over and over until the answers have stalled the connection, and then ten times more. It returns
// how often the server has read them; 0 if it can't read all: where the client's kernel, whose buffer is full, drops the next segments
// together with the acknowledgements in them, both wait until the client reads.
func (c *raw) flood(r *rig, frames []byte) (times int) {
	r.t.Helper()
	before := r.server.Stats().BytesIn
	for more := 10; more > 0; times++ {
		if _, err := c.Write(frames); err != nil {
			if c.drops(r.t) == 0 {
				r.t.Fatal(err)
			}
			return 0
		}
		if more < 10 || r.server.Stats().Stalled == 1 {
			more--
		}
	}
	read := func() bool { return r.server.Stats().BytesIn >= before+times*len(frames) }
	if !within(10*time.Second, read) {
		eventually(r.t, "the server reads all of it", func() bool { return read() || c.drops(r.t) > 0 })
	}
	if !read() {
		r.t.Logf("the client's kernel dropped %d segments", c.drops(r.t))
		return 0
	}
	return times
}

// drops is how many segments the client's kernel has dropped.
func (c *raw) drops(t testing.TB) int {
	t.Helper()
	tcp, err := tcpOf(c.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	dropped := 0
	if err := tcp.Control(func(fd uintptr) { dropped = memInfo(t, int(fd), 8) }); err != nil { // SK_MEMINFO_DROPS
		t.Fatal(err)
	}
	return dropped
}

func TestSilentClientsAreEndedAndLivelyOnesStay(t *testing.T) {
	t.Parallel()
	inOneOfMany(t, "the lively client was ended in each attempt", livelyOneStays) // on a busy machine a pong may come too late
}

// livelyOneStays has a silent client ended, and reports whether the lively one has stayed.
func livelyOneStays(t *testing.T) bool {
	r := start(t, func(c *Config) { c.PingInterval, c.PongWait = 100*time.Millisecond, 2*time.Second })
	lively := r.connect("lively")
	gotPings := make(chan struct{}, 1000)
	lively.SetPingHandler(func(data string) error {
		gotPings <- struct{}{}
		return lively.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(patience))
	})
	ended := make(chan struct{})
	go func() { _, _, _ = lively.ReadMessage(); close(ended) }()
	silent := r.upgrade("silent")
	eventually(t, "the silent one is ended", func() bool { return r.hub.ConnectionsOf("silent") == 0 })
	for range 41 { // four seconds and more: twice the pong wait
		select {
		case <-gotPings:
		case <-ended:
			return false
		}
	}
	if n := r.server.Stats().Ended["pong_timeout"]; r.hub.ConnectionsOf("lively") != 1 || n != 1 {
		return false
	}
	_ = silent.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.Copy(io.Discard, silent.r); err != nil && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "reset") {
		t.Errorf("the silent client's socket: %v", err)
	}
	return true
}

// A client in the middle of sending still gets to read the answer.
func TestRefusalsArriveWhileTheClientSends(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *Config) { c.LingerTimeout = patience })
	for range 50 {
		conn, err := r.dialTCP()
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		go func() {
			_, _ = io.WriteString(conn, "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"+
				"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"+strings.Repeat("more", 25_000))
		}()
		answer, err := io.ReadAll(conn)
		if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 401 ") {
			t.Fatalf("answer %.60q, %v", answer, err)
		}
		_ = conn.Close()
	}
	eventually(t, "no socket is left", func() bool { return r.server.Stats().Sockets == 0 })
}

func TestHandshakeDeadlineHoldsHoweverSlowlyBytesCome(t *testing.T) {
	t.Parallel()
	inOneOfMany(t, "no client got through its TLS handshake in time", handshakeTimesOut) // on a busy machine nothing may have come of the request by then
}

// handshakeTimesOut sends a request slowly until it is answered. It returns false if the beginning of it came too late.
func handshakeTimesOut(t *testing.T) (begun bool) {
	const deadline = 4 * time.Second
	r := start(t, func(c *Config) { c.HandshakeTimeout = deadline })
	dialed := time.Now()
	conn, err := r.dialTCP()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	first := make(chan time.Duration, 1)
	go func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for i := range 1000 {
			<-tick.C
			_, err := conn.Write([]byte("G"))
			if i == 0 {
				first <- time.Since(dialed)
			}
			if err != nil {
				return
			}
		}
	}()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	answer, _ := io.ReadAll(conn)
	if len(answer) == 0 && (<-first > deadline/2 || time.Since(dialed) > deadline*3/2) { // the server may have read nothing in time, too
		return false
	}
	if !strings.HasPrefix(string(answer), "HTTP/1.1 408 ") {
		t.Errorf("answer %.60q, want a 408", answer)
	}
	if n := r.server.Stats().Refused["handshake_timeout"]; n != 1 {
		t.Errorf("counted %d, want 1", n)
	}
	return true
}

func TestShutdownSendsWhatWaitsAndThenGoodbye(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	conns := make([]*websocket.Conn, 20)
	for i := range conns {
		conns[i] = r.connect("alice")
	}
	r.deliver("alice", `{"type":"the last one"}`)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- r.server.Shutdown(ctx, Restarting()) }()
	for i, conn := range conns {
		if _, message, err := conn.ReadMessage(); err != nil || !strings.Contains(string(message), "the last one") {
			t.Fatalf("connection %d: %q, %v", i, message, err)
		}
		if _, _, err := conn.ReadMessage(); !websocket.IsCloseError(err, 1001) {
			t.Fatalf("connection %d: %v, want close code 1001", i, err)
		}
		_ = conn.Close()
	}
	if err := <-ended; err != nil {
		t.Errorf("shutdown: %v", err)
	}
	if err := <-r.served; err != ErrClosed {
		t.Errorf("Serve returned %v, want ErrClosed", err)
	}
	if s := r.server.Stats(); s.Sockets != 0 || s.Ended["restart"] != 20 {
		t.Errorf("left: %d sockets, ended %v", s.Sockets, s.Ended)
	}
	r.balanced()
}

// However much waits for the loops when the server is asked to stop, clients get
// it before the goodbye, and nothing is left uncounted.
func TestShutdownDeliversTheBacklog(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *Config) { c.Loops = 1 })
	conns := make([]*websocket.Conn, 20)
	for i := range conns {
		conns[i] = r.connect(fmt.Sprint("user", i))
	}
	release := r.server.loops[0].hold()
	const each = 200
	for range each {
		for i := range conns {
			r.deliver(fmt.Sprint("user", i), `{"type":"n"}`)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- r.server.Shutdown(ctx, GoingAway()) }()
	eventually(t, "the server drains", r.server.draining.Load)
	release()
	for i, conn := range conns {
		for n := range each {
			if _, _, err := conn.ReadMessage(); err != nil {
				t.Fatalf("connection %d got %d of %d: %v", i, n, each, err)
			}
		}
		if _, _, err := conn.ReadMessage(); !websocket.IsCloseError(err, 1001) {
			t.Fatalf("connection %d: %v, want close code 1001", i, err)
		}
		_ = conn.Close()
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if s := r.server.Stats(); s.Waiting != 0 || s.Sent != uint64(each*len(conns)) {
		t.Errorf("after the end: sent %d, failed %v, waiting %d", s.Sent, s.Failed, s.Waiting)
	}
	r.balanced()
}

// A client that has begun its request when the server is told to stop gets an
// answer.
func TestRequestsUnderWayAtShutdownAreAnswered(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *Config) { c.LingerTimeout = 2 * time.Second })
	conn, err := r.dialTCP()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, "GET /health HTTP/1.1\r\nHo"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the half request is there", func() bool { return r.halfRequests() == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- r.server.Shutdown(ctx, GoingAway()) }()
	eventually(t, "the server drains", r.server.draining.Load)
	if _, err := io.WriteString(conn, "st: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200 ") {
		t.Fatalf("answer %.60q, %v", answer, err)
	}
	_ = conn.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A client whose queue is never empty, but who reads, is pinged and stays.
func TestSlowReaderIsPingedAndStays(t *testing.T) {
	t.Parallel()
	inOneOfMany(t, "the slow reader was ended in each attempt", slowReaderStays) // on a busy machine a pong may come too late
}

// slowReaderStays reads slowly, answers pings, and reports whether the connection has lasted.
func slowReaderStays(t *testing.T) bool {
	r := start(t, func(c *Config) {
		c.Loops, c.PingInterval, c.PongWait = 1, 100*time.Millisecond, 2*time.Second
	})
	client := r.upgrade("slow")
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				r.deliver("slow", `{"type":"n","payload":"`+strings.Repeat("x", 8000)+`"}`)
			}
		}
	}()
	pace := time.NewTicker(5 * time.Millisecond)
	defer pace.Stop()
	for pings := 0; pings < 41; <-pace.C { // four seconds and more: twice the pong wait
		if r.hub.Connections() == 0 {
			return false
		}
		if opcode, _ := client.readAnyFrame(t); opcode == 0x89 {
			pings++
			_, _ = client.Write(masked(0x8a, ""))
		}
	}
	return r.hub.Connections() == 1
}

// When the server itself was absent for longer than the pong wait, nobody is
// ended for it: clients are pinged first, and those who are gone end later.
func TestPauseOfTheServerEndsNobody(t *testing.T) {
	t.Parallel()
	inOneOfMany(t, "the lively client was ended in each attempt", livelyOneOutlivesAPause) // on a busy machine the lively client may be too late
}

// livelyOneOutlivesAPause pauses a server for longer than the pong wait, and reports whether then only the silent client is ended.
func livelyOneOutlivesAPause(t *testing.T) bool {
	r := start(t, func(c *Config) {
		c.Loops, c.PingInterval, c.PongWait = 1, 100*time.Millisecond, 2*time.Second
	})
	lively := r.connect("lively")
	go func() { _, _, _ = lively.ReadMessage() }() // answers pings
	r.upgrade("silent")
	resume := r.server.loops[0].hold()
	<-time.After(4 * time.Second) // this is the pause itself
	resume()
	eventually(t, "the silent client is ended", func() bool {
		return r.hub.ConnectionsOf("silent") == 0 && r.server.Stats().Ended["pong_timeout"] > 0
	})
	r.handles() // when the turn is over in which that happened: the other one may end in it, too
	return r.hub.ConnectionsOf("lively") == 1
}

// A failure while one connection is served ends that connection only.
func TestPanicEndsOneConnection(t *testing.T) {
	t.Parallel()
	broken := func() (int, []byte) { panic("health is broken") }
	r := start(t, func(c *Config) { c.Health = broken })
	bystander := r.connect("alice")
	conn, err := r.dialTCP()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.ReadAll(conn); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Fatalf("the connection was not closed: %v", err)
	}
	if n := r.server.Stats().Panics; n != 1 {
		t.Errorf("counted %d panics, want 1", n)
	}
	r.deliver("alice", `{"type":"x"}`)
	if _, _, err := bystander.ReadMessage(); err != nil {
		t.Errorf("another connection suffers: %v", err)
	}
}

func TestSocketLimit(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *Config) { c.MaxSockets = 10 })
	var silent []net.Conn
	for range 30 {
		conn, err := r.dialTCP()
		if err != nil {
			t.Fatal(err)
		}
		silent = append(silent, conn)
	}
	eventually(t, "those beyond the limit are turned away", func() bool { return r.server.Stats().Unanswered["crowded_out"] == 20 })
	for _, conn := range silent {
		_ = conn.Close()
	}
	eventually(t, "the places are free again", func() bool { return r.server.Stats().Sockets == 0 })
	r.connect("alice")
}

func TestBudget(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ descriptors, reserved, wanted, sockets, connections int }{
		{20_000, 200, 10_000, 12_500, 10_000},
		{20_000, 200, 0, 19_800, 19_288},
		{1024, 200, 10_000, 824, 773},
		{64, 200, 10_000, 2, 1},
		{1 << 30, 200, 100_000, 125_000, 100_000},
		{1 << 30, 200, 10, 522, 10},
	} {
		got := NewBudget(tc.descriptors, tc.reserved, tc.wanted)
		if got.Sockets != tc.sockets || got.Connections != tc.connections {
			t.Errorf("NewBudget(%d, %d, %d) = %+v, want %d sockets and %d connections",
				tc.descriptors, tc.reserved, tc.wanted, got, tc.sockets, tc.connections)
		}
	}
}
