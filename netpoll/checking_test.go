package netpoll

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"roost/wsproto"
)

// issuer is a server's key pair, and a hold on its workers: a token of a key that
// the gate doesn't know waits in one of them.
type issuer struct {
	private ed25519.PrivateKey
	public  wsproto.PublicKey
	held    atomic.Int32  // workers that came to the hold
	release chan struct{} // closed to let them go
	let     func()        // closes it
}

// startIssuer is start with a gate that checks tokens of a key pair. The key known
// has, the kid "later" it gets to know when the workers are let go.
func startIssuer(t *testing.T, change func(*Config)) (*rig, *issuer) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{private: private, release: make(chan struct{})}
	i.let = sync.OnceFunc(func() { close(i.release) })
	t.Cleanup(i.let)
	if i.public, err = wsproto.NewPublicKey("known", public); err != nil {
		t.Fatal(err)
	}
	later, err := wsproto.NewPublicKey("later", public)
	if err != nil {
		t.Fatal(err)
	}
	var gate *wsproto.Gate
	knows := sync.OnceFunc(func() {
		if err := gate.SetKeys(wsproto.Keys{Secret: []byte(testSecret), Public: []wsproto.PublicKey{i.public, later}}); err != nil {
			t.Error(err)
		}
	})
	gate, err = wsproto.NewGate(wsproto.GateConfig{Secret: []byte(testSecret), Public: []wsproto.PublicKey{i.public},
		UnknownKey: func(string) (time.Duration, bool) { i.held.Add(1); <-i.release; knows(); return 0, false }})
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, func(c *Config) {
		c.Gate = gate
		if change != nil {
			change(c)
		}
	})
	// Before the server is shut down, which waits for the workers.
	t.Cleanup(i.let)
	return r, i
}

func (i *issuer) token(t testing.TB, kid, user string) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{"sub": user, "exp": time.Now().Add(time.Hour).Unix()})
	token.Header["kid"] = kid
	signed, err := token.SignedString(i.private)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// send writes the head of an upgrade, and more behind it, and returns the connection.
func (r *rig) send(token, more string) *raw {
	r.t.Helper()
	return r.sendQuery("token="+token, more)
}

// sendQuery is send with any query.
func (r *rig) sendQuery(query, more string) *raw {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(15 * time.Second))
	head := "GET /ws?" + query + " HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	if _, err := io.WriteString(conn, head+more); err != nil {
		r.t.Fatal(err)
	}
	return &raw{conn.(*net.TCPConn), bufio.NewReader(conn)}
}

// answered reads the answer to send.
func (c *raw) answered(t testing.TB, status int) *http.Response {
	t.Helper()
	response, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != status {
		t.Fatalf("answered %s, want %d", response.Status, status)
	}
	return response
}

// checkingIs waits until so many tokens are with the workers.
func (r *rig) checkingIs(n int) {
	r.t.Helper()
	eventually(r.t, "tokens are with the workers", func() bool { return r.server.Stats().Checking == n })
}

func TestTokensOfKeyPairs(t *testing.T) {
	t.Parallel()
	r, issuer := startIssuer(t, nil)
	client := r.send(issuer.token(t, "known", "alice"), "")
	client.answered(t, http.StatusSwitchingProtocols)
	r.deliver("alice", `{"type":"n"}`)
	if opcode, _ := client.readFrame(t); opcode != 0x81 {
		t.Errorf("got %x", opcode)
	}
	wrong := issuer.token(t, "known", "bob")
	wrong = wrong[:strings.LastIndexByte(wrong, '.')+1] + strings.Repeat("A", 86)
	r.send(wrong, "").answered(t, http.StatusUnauthorized)
	r.connect("carol") // with the secret
	for _, l := range r.server.loops {
		done := make(chan struct{})
		l.do(func() {
			defer close(done)
			l.wheel.each(func(c *conn) {
				if c.state == stateOpen && c.part != nil {
					t.Error("a connection keeps its token")
				}
			})
		})
		<-done
	}
	if s := r.server.Stats(); s.Refused["token_signature"] != 1 || s.Opened != 2 || s.Checking != 0 {
		t.Errorf("%+v", s)
	}
}

// While a token is checked its loop goes on, and what the client sends too early is neither lost nor read twice.
func TestFramesBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	r, issuer := startIssuer(t, func(c *Config) { c.Loops = 1 })
	staying := r.connect("bob")
	client := r.send(issuer.token(t, "later", "alice"), string(masked(0x89, "one"))+string(masked(0x89, "two")[:3]))
	r.checkingIs(1)
	// Others' bytes come into the loop's buffer meanwhile.
	other := r.send(strings.Repeat("x", 3000), "")
	r.checkingIs(2)
	if _, err := client.Write(masked(0x89, "two")[3:]); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Write(masked(0x89, "three")); err != nil {
		t.Fatal(err)
	}
	r.deliver("bob", `{"type":"n"}`)
	if _, _, err := staying.ReadMessage(); err != nil {
		t.Error(err)
	}
	issuer.let()
	other.answered(t, http.StatusUnauthorized)
	client.answered(t, http.StatusSwitchingProtocols)
	for _, want := range []string{"one", "two", "three"} {
		if opcode, payload := client.readFrame(t); opcode != 0x8a || string(payload) != want {
			t.Fatalf("got %x %q, want a pong with %q", opcode, payload, want)
		}
	}
	r.checkingIs(0)
}

// What is kept of these frames is bounded.
func TestTooManyFramesBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	r, issuer := startIssuer(t, nil)
	client := r.send(issuer.token(t, "later", "alice"), "")
	r.checkingIs(1)
	if _, err := client.Write(make([]byte, maxEarly+1)); err != nil {
		t.Fatal(err)
	}
	client.answered(t, http.StatusBadRequest)
	r.checkingIs(0)
	issuer.let()
}

// Who has gone before the answer is there leaves nothing behind, and one whose turn has not come costs no check.
func TestClientGoesBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	r, issuer := startIssuer(t, func(c *Config) { c.Checkers = 1 })
	first := r.send(issuer.token(t, "later", "alice"), "")
	eventually(t, "the worker is held", func() bool { return issuer.held.Load() == 1 })
	second := r.send(issuer.token(t, "never", "bob"), "")
	r.checkingIs(2)
	_, _ = first.Close(), second.Close()
	eventually(t, "both are gone", func() bool { s := r.server.Stats(); return s.Sockets == 0 && s.Checking == 0 })
	third := r.send(issuer.token(t, "known", "carol"), "")
	r.checkingIs(1)
	issuer.let()
	third.answered(t, http.StatusSwitchingProtocols)
	if n := issuer.held.Load(); n != 1 {
		t.Errorf("%d tokens of unknown keys were looked at, want 1", n)
	}
	if r.hub.Connections() != 1 || r.server.Stats().Opened != 1 {
		t.Errorf("%d connections, %d opened, want one", r.hub.Connections(), r.server.Stats().Opened)
	}
}

func TestDeadlineWhileATokenIsChecked(t *testing.T) {
	t.Parallel()
	r, issuer := startIssuer(t, func(c *Config) { c.HandshakeTimeout = 100 * time.Millisecond })
	client := r.send(issuer.token(t, "later", "alice"), "")
	if response := client.answered(t, http.StatusServiceUnavailable); response.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	issuer.let()
	eventually(t, "it is counted", func() bool { return r.server.Stats().Refused["token_checks_full"] == 1 })
	if n := r.server.Stats().Opened; n != 0 {
		t.Errorf("%d opened", n)
	}
}

// The queue is bounded; who finds it full is told to come again, and who waits is served.
func TestCheckQueueIsBounded(t *testing.T) {
	t.Parallel()
	r, issuer := startIssuer(t, func(c *Config) { c.Checkers, c.CheckQueue, c.RejectAfterUpgrade = 1, 2, RejectAlways })
	clients := []*raw{r.send(issuer.token(t, "later", "alice"), "")}
	eventually(t, "the worker is held", func() bool { return issuer.held.Load() == 1 })
	clients = append(clients, r.send(issuer.token(t, "later", "bob"), ""), r.send(issuer.token(t, "known", "carol"), ""))
	r.checkingIs(3)
	for range 5 {
		turnedAway := r.send(issuer.token(t, "known", "dave"), "")
		turnedAway.answered(t, http.StatusSwitchingProtocols)
		if opcode, payload := turnedAway.readFrame(t); opcode != 0x88 || string(payload[:2]) != "\x11\x97" { // 4503
			t.Fatalf("got %x %q, want a close frame with 4503", opcode, payload)
		}
	}
	r.connect("erin") // with the secret: that needs no worker
	issuer.let()
	for _, client := range clients {
		client.answered(t, http.StatusSwitchingProtocols)
	}
	if n := r.server.Stats().Refused["token_checks_full"]; n != 5 {
		t.Errorf("%d refusals are counted, want 5", n)
	}
}

// A server that ends answers those whose token is being checked, and its workers end with it.
func TestShutdownWhileATokenIsChecked(t *testing.T) {
	t.Parallel()
	r, issuer := startIssuer(t, nil)
	client := r.send(issuer.token(t, "later", "alice"), "")
	r.checkingIs(1)
	ended := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		ended <- r.server.Shutdown(ctx, GoingAway())
	}()
	eventually(t, "the server drains", r.server.draining.Load)
	issuer.let()
	client.answered(t, http.StatusServiceUnavailable)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := r.server.Stats().Refused["draining"]; n != 1 {
		t.Errorf("%d refusals are counted, want 1", n)
	}
}

// Deliveries don't wait for a crowd of answers.
func TestDeliveriesPassManyTasks(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *Config) { c.Loops = 1 })
	client := r.connect("alice")
	l := r.server.loops[0]
	release := l.hold()
	var sent uint64
	done := make(chan struct{})
	l.tasks.add(func() { r.hub.Deliver("alice", `{"type":"n"}`) })
	for range drainEvery - 1 {
		l.tasks.add(func() {})
	}
	l.tasks.add(func() { sent = r.server.Stats().Sent; close(done) })
	release()
	<-done
	if sent != 1 {
		t.Errorf("%d notifications were sent before the tasks were done, want 1", sent)
	}
	if _, _, err := client.ReadMessage(); err != nil {
		t.Error(err)
	}
}
