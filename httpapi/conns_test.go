package httpapi

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// fakeConn is a connection from an address, that can be closed.
type fakeConn struct {
	net.Conn
	from   string
	closed bool
}

func (c *fakeConn) Close() error { c.closed = true; return nil }
func (c *fakeConn) RemoteAddr() net.Addr {
	address, _ := net.ResolveTCPAddr("tcp", c.from)
	return address
}

func TestWhoMakesRoom(t *testing.T) {
	t.Parallel()
	// Each connection is as old as its place in the list says: the first is the oldest.
	type conn struct {
		from    string
		serving time.Duration // since when a request is answered; 0: it waits for one
		evicted bool
	}
	const busy, busier, long = time.Second, 2 * time.Second, longServing
	for _, tt := range []struct {
		name  string
		conns []conn
	}{
		{"the oldest", []conn{{"192.0.2.1:1", 0, true}, {"192.0.2.2:1", 0, false}, {"192.0.2.3:1", 0, false}}},
		{"one that waits, before one that is answered", []conn{{"192.0.2.1:1", busy, false}, {"192.0.2.2:1", 0, true}, {"192.0.2.3:1", 0, false}}},
		{"one that is answered for long", []conn{{"192.0.2.1:1", long, true}, {"192.0.2.2:1", 0, false}, {"192.0.2.3:1", busy, false}}},
		{"one that is answered, if all are", []conn{{"192.0.2.1:1", busier, true}, {"192.0.2.2:1", busy, false}}},
		{"who has most", []conn{{"192.0.2.1:1", 0, false}, {"192.0.2.2:1", 0, true}, {"192.0.2.2:2", 0, false}}},
		{"who has most, even if answered", []conn{{"192.0.2.1:1", 0, false}, {"192.0.2.2:1", busier, true}, {"192.0.2.2:2", busy, false}}},
		{"who has most of an IPv6 network", []conn{{"[2001:db8::1]:1", 0, false}, {"[2001:db8:1::1]:1", 0, true}, {"[2001:db8:1::2]:1", 0, false}}},
		{"who has most, with mapped addresses", []conn{{"192.0.2.1:1", 0, false}, {"[::ffff:192.0.2.2]:1", 0, true}, {"192.0.2.2:2", 0, false}}},
		{"nobody else", nil},
	} {
		now := time.Now()
		c := newConns(len(tt.conns), noReserve{}, slog.New(slog.DiscardHandler))
		var fakes []*fakeConn
		for i, conn := range tt.conns {
			c.now = func() time.Time { return now.Add(time.Duration(i-3000) * time.Millisecond) }
			fakes = append(fakes, &fakeConn{from: conn.from})
			added := c.add(fakes[i]).(*boundedConn)
			if conn.serving > 0 {
				c.now = func() time.Time { return now.Add(-conn.serving) }
				added.serve(true)
			}
		}
		c.now = func() time.Time { return now }
		newest := &fakeConn{from: "198.51.100.1:1"}
		c.add(newest)
		for i, conn := range tt.conns {
			if fakes[i].closed != conn.evicted {
				t.Errorf("%s: connection %d: closed %t", tt.name, i, fakes[i].closed)
			}
		}
		if newest.closed {
			t.Errorf("%s: the newest was closed", tt.name)
		}
		if open, evicted := c.read(); open != max(len(tt.conns), 1) || int(evicted) != min(len(tt.conns), 1) {
			t.Errorf("%s: %d open, %d evicted", tt.name, open, evicted)
		}
	}
}

// dialFrom connects from an address of this machine.
func dialFrom(t *testing.T, from, addr string) net.Conn {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: soon}
	conn, err := dialer.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// getOver asks over a connection that is open.
func getOver(conn net.Conn, path string) (status int, err error) {
	_ = conn.SetDeadline(time.Now().Add(soon))
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path); err != nil {
		return 0, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, err
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, resp.Body.Close()
}

// A stranger who opens connections, whatever comes over them, keeps nobody out and costs a bounded number.
func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{Addr: "127.0.0.1:0"})
	// Whoever is gone was evicted, on a machine that takes long for so many, too.
	s.http.ReadHeaderTimeout, s.http.ReadTimeout, s.http.IdleTimeout = time.Hour, time.Hour, time.Hour
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	addr := s.Addr().String()
	for _, first := range []string{"", "GET /heal", "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"} {
		honest := dialFrom(t, "127.0.0.2", addr)
		if status, err := getOver(honest, "/health"); err != nil || status != 200 {
			t.Fatalf("before: %d, %v", status, err)
		}
		for range 3 * MaxConnections {
			if _, err := io.WriteString(dialFrom(t, "127.0.0.3", addr), first); err != nil {
				t.Fatal(err)
			}
		}
		if status, err := getOver(honest, "/metrics"); err != nil || status != 200 {
			t.Errorf("%q: a connection that was there: %d, %v", first, status, err)
		}
		for _, from := range []string{"127.0.0.2", "127.0.0.3"} {
			if status, err := getOver(dialFrom(t, from, addr), "/health"); err != nil || status != 200 {
				t.Errorf("%q: a new connection from %s: %d, %v", first, from, status, err)
			}
		}
		if open, evicted := s.conns.read(); open > MaxConnections || evicted < 2*MaxConnections {
			t.Errorf("%q: %d open, %d evicted", first, open, evicted)
		}
	}
	cancel()
	if err := <-ran; err != nil {
		t.Error(err)
	}
	if open, _ := s.conns.read(); open != 0 {
		t.Errorf("%d open after the end", open)
	}
}

// fewDescriptors stands for a process with a number of descriptors, and for a reserve of it.
type fewDescriptors struct {
	net.Listener
	mu            sync.Mutex
	free, reserve int
}

func (f *fewDescriptors) take() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.free--
	if f.free < 0 {
		f.free = 0
		return false
	}
	return true
}

func (f *fewDescriptors) put() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.free++
}

// Accept implements net.Listener.
func (f *fewDescriptors) Accept() (net.Conn, error) {
	if !f.take() {
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return &countedConn{fakeConn{from: "192.0.2.1:1"}, f}, nil
}

// Release implements Reserve.
func (f *fewDescriptors) Release() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.reserve == 0 {
		return false
	}
	f.reserve, f.free = f.reserve-1, f.free+1
	return true
}

// Refill implements Reserve.
func (f *fewDescriptors) Refill() {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := min(f.free, 2-f.reserve)
	f.reserve, f.free = f.reserve+n, f.free-n
}

type countedConn struct {
	fakeConn
	of *fewDescriptors
}

func (c *countedConn) Close() error { c.of.put(); return nil }

func TestAcceptWithoutDescriptors(t *testing.T) {
	t.Parallel()
	few := &fewDescriptors{free: 1, reserve: 2}
	conns := newConns(100, few, slog.New(slog.DiscardHandler))
	l := boundedListener{few, conns}
	var accepted []net.Conn
	for range 3 { // the one that is free, and those of the reserve
		conn, err := l.Accept()
		if err != nil {
			t.Fatalf("after %d: %v", len(accepted), err)
		}
		accepted = append(accepted, conn)
	}
	if open, evicted := conns.read(); open != 3 || evicted != 0 {
		t.Errorf("%d open, %d evicted", open, evicted)
	}
	if _, err := l.Accept(); err != nil { // the oldest one's
		t.Fatal(err)
	}
	if open, evicted := conns.read(); open != 3 || evicted != 1 {
		t.Errorf("%d open, %d evicted", open, evicted)
	}
	for conn := range conns.open {
		_ = conn.Close()
	}
	if few.reserve != 2 || few.free != 1 {
		t.Errorf("%d in reserve, %d free", few.reserve, few.free)
	}
	// With nothing at all it waits until somebody gives a descriptor back.
	few.reserve, few.free = 0, 0
	accepting := make(chan error, 1)
	go func() {
		_, err := l.Accept()
		accepting <- err
	}()
	few.put()
	select {
	case err := <-accepting:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(soon):
		t.Error("a descriptor is free, and nobody is accepted")
	}
}

// emptyQueue is a listener that nobody waits for, in a process without a descriptor.
type emptyQueue struct {
	*net.TCPListener
	tries chan struct{}
	ended chan struct{}
}

// Accept implements net.Listener.
func (q emptyQueue) Accept() (net.Conn, error) {
	select {
	case <-q.ended:
		return nil, net.ErrClosed
	case q.tries <- struct{}{}:
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
}

func TestNoRoomIsMadeForNobody(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	few := &fewDescriptors{reserve: 1}
	conns := newConns(100, few, slog.New(slog.DiscardHandler))
	conns.add(&fakeConn{from: "192.0.2.1:1"})
	queue := emptyQueue{listener.(*net.TCPListener), make(chan struct{}), make(chan struct{})}
	over := make(chan struct{})
	go func() {
		defer close(over)
		_, _ = boundedListener{queue, conns}.Accept()
	}()
	left := func() int { few.mu.Lock(); defer few.mu.Unlock(); return few.reserve }
	for range 5 {
		<-queue.tries
	}
	if open, evicted := conns.read(); open != 1 || evicted != 0 || left() != 1 {
		t.Errorf("%d open, %d evicted, %d in reserve", open, evicted, left())
	}
	// Whoever comes then has it at once, however many tries there were for nobody.
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	for begun := time.Now(); !(boundedListener{queue, conns}).hasWaiting(); time.Sleep(time.Millisecond) {
		if time.Since(begun) > soon {
			t.Fatal("the client does not come")
		}
	}
	<-queue.tries // and the one before may have been for the client
	close(queue.ended)
	<-over
	if left() != 0 {
		t.Error("no room was made")
	}
}

func TestEvictionsAreCounted(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{})
	s.conns.limit = 1
	s.conns.add(&fakeConn{from: "192.0.2.1:1"})
	s.conns.add(&fakeConn{from: "192.0.2.1:2"})
	body := text(t, ask(s, "GET", "/metrics").Body)
	for _, want := range []string{"\nroost_admin_connections 1\n", "\nroost_admin_connections_evicted_total 1\n"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q", want)
		}
	}
}

// Connections of one /64 count for the same source, since a machine may have all of its addresses.
func TestSourceOf(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		address net.Addr
		want    string
	}{
		"IPv4":           {&net.TCPAddr{IP: net.ParseIP("192.0.2.1"), Port: 1}, "192.0.2.1/32"},
		"IPv6":           {&net.TCPAddr{IP: net.ParseIP("2001:db8::1:2:3:4"), Port: 1}, "2001:db8::/64"},
		"IPv6 of a zone": {&net.TCPAddr{IP: net.ParseIP("fe80::1"), Zone: "eth0"}, "fe80::/64"},
		"no address":     {&net.TCPAddr{}, "invalid Prefix"},
		"no TCP":         {&net.UnixAddr{Name: "/run/roost"}, "invalid Prefix"},
	} {
		if got := sourceOf(test.address).String(); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}
