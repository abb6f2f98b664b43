package roosttest

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Relay is a network between clients and a server: an address that stays while
// servers come and go, whose connections can be cut, and can die without a word.
type Relay struct {
	Addr string

	mu     sync.Mutex // guards the rest
	target string     // where connections go; "": they are refused
	dead   chan struct{}
	conns  []net.Conn
	dying  []net.Conn // of these those that die made dead

	wg sync.WaitGroup
}

// StartRelay starts a relay to target; the test's end stops it.
func StartRelay(t testing.TB, target string) *Relay {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &Relay{Addr: listener.Addr().String(), target: target, dead: make(chan struct{})}
	r.wg.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			r.wg.Go(func() { r.serve(client) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		r.Cut("")
		r.wg.Wait()
	})
	return r
}

func (r *Relay) serve(client net.Conn) {
	defer client.Close()
	r.mu.Lock()
	dead := r.dead
	server, err := net.Dial("tcp", r.target)
	if err == nil {
		r.conns = append(r.conns, client, server)
	}
	r.mu.Unlock()
	if err != nil {
		return
	}
	defer server.Close()
	r.wg.Go(func() { forward(client, server, dead) })
	forward(server, client, dead)
}

// forward copies until one side ends, or, when the connection is dead, throws away
// what comes until it is cut.
func forward(from, to net.Conn, dead <-chan struct{}) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		select {
		case <-dead:
			_, _ = io.Copy(io.Discard, from)
			return
		default:
		}
		if err != nil {
			_ = to.Close()
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// Cut ends all connections. New ones go to target.
func (r *Relay) Cut(target string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.target = target
	for _, conn := range r.conns {
		_ = conn.Close()
	}
	r.conns, r.dying = nil, nil
}

// TurnTo sends new connections to target.
func (r *Relay) TurnTo(target string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.target = target
}

// Die lets nothing through on the connections that there are, and closes none.
// New ones work.
func (r *Relay) Die() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.dead)
	r.dead = make(chan struct{})
	r.dying = r.conns
}

// CloseDead closes the connections that died.
func (r *Relay) CloseDead() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, conn := range r.dying {
		_ = conn.Close()
	}
	r.dying = nil
}
