package netpoll

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// Handshakes under way go along: silent ones, half requests, whole ones that wait for a subscription.
func TestHandoverOfHandshakes(t *testing.T) {
	t.Parallel()
	waits := &slowSubscriptions{}
	r := start(t, func(c *Config) { c.Subscriptions = waits; c.SubscribeWait = patience; c.HandshakeTimeout = patience })
	dial := func() net.Conn {
		conn, err := r.dialTCP()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(patience))
		return conn
	}
	request := upgradeRequest(t, "alice")
	silent, half, whole := dial(), dial(), dial()
	_, _ = io.WriteString(half, request[:40])
	_, _ = io.WriteString(whole, request)
	eventually(t, "they are on their way", func() bool {
		s := r.server.Stats()
		return s.Pending == 3 && s.Subscribing == 1 && r.halfRequests() == 1
	})
	next, handed := r.handOver(func(c *Config) { c.Subscriptions = nil })
	if handed.Handshakes != 3 {
		t.Errorf("%+v, want 3 handshakes", handed)
	}
	_, _ = io.WriteString(silent, request)
	_, _ = io.WriteString(half, request[40:])
	for _, conn := range []net.Conn{silent, half, whole} {
		answered(t, conn)
	}
	eventually(t, "all are open", func() bool { return next.hub.ConnectionsOf("alice") == 3 })
	if n := r.server.Stats().Pending; n != 0 {
		t.Errorf("%d are pending in the old one", n)
	}
}

// halfRequests counts connections that have sent a part of their request. A TLS handshake under way, which is unfinished too, is none.
func (r *rig) halfRequests() (n int) {
	for _, l := range r.server.loops {
		l.mu.Lock()
		l.wheel.Each(func(c *conn) {
			if c.state == stateRequest && c.extra.hs.requested {
				n++
			}
		})
		l.mu.Unlock()
	}
	return n
}

// slowSubscriptions confirm nothing.
type slowSubscriptions struct{}

func (*slowSubscriptions) Acquire(string, Waiter) bool { return false }
func (*slowSubscriptions) Release(string)              {}

// TLS handshakes under way end in the old process, and follow.
func TestHandoverOfLateHandshakes(t *testing.T) {
	t.Parallel()
	r := secureRig(t, func(c *Config) { c.HandshakeTimeout = patience })
	half := newHoldingConn(t, r.addr)
	done := make(chan error, 1)
	secure := tlsClient(half)
	go func() { done <- secure.HandshakeContext(t.Context()) }()
	eventually(t, "half of the hello has come", func() bool { return r.server.unfinished() == 1 })
	m, serve := r.begin(nil)
	taken := m.freeze()
	handed := m.out.Commit()
	serve()
	if taken.Handshakes != 0 || handed.Stay[stayHandshake] != 1 {
		t.Errorf("%+v were taken, %+v handed over", taken, handed)
	}
	late := newCarrier(t, m.next.server.TakeLate)
	sent := make(chan int, 1)
	go func() {
		n, err := m.out.Late(t.Context(), late.send)
		if err != nil {
			t.Error(err)
		}
		sent <- n
	}()
	half.release()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	upgraded(t, secure, "alice")
	if n := <-sent; n != 1 {
		t.Errorf("%d went late, want 1", n)
	}
	eventually(t, "it is open", func() bool { return m.next.hub.ConnectionsOf("alice") == 1 })
}

// holdingConn holds back the second half of what is written to it first, until release.
type holdingConn struct {
	net.Conn
	goOn    chan struct{}
	release func()
	once    sync.Once
}

func newHoldingConn(t testing.TB, addr string) *holdingConn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	h := &holdingConn{Conn: conn, goOn: make(chan struct{})}
	h.release = sync.OnceFunc(func() { close(h.goOn) })
	t.Cleanup(h.release)
	return h
}

func (h *holdingConn) Write(b []byte) (n int, err error) {
	h.once.Do(func() {
		if n, err = h.Conn.Write(b[:len(b)/2]); err == nil {
			<-h.goOn
			b = b[n:]
		}
	})
	if err != nil {
		return n, err
	}
	more, err := h.Conn.Write(b)
	return n + more, err
}
