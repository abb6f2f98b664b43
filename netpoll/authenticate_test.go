package netpoll

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"roost/wsproto/auth"
	"roost/wsproto/handshake"
)

// issuer is a server's key pair, and a hold on its workers: a token of a key that
// the authenticator doesn't know waits in one of them.
type issuer struct {
	private ed25519.PrivateKey
	public  auth.PublicKey
	held    atomic.Int32  // workers that came to the hold
	release chan struct{} // closed to let them go
	let     func()        // closes it
}

// startIssuer is start with an authenticator that checks tokens of a key pair. The key known
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
	if i.public, err = auth.NewPublicKey("known", public); err != nil {
		t.Fatal(err)
	}
	later, err := auth.NewPublicKey("later", public)
	if err != nil {
		t.Fatal(err)
	}
	var authenticator *auth.Authenticator
	knows := sync.OnceFunc(func() {
		if err := authenticator.SetKeys(auth.Keys{Secret: []byte(testSecret), Public: []auth.PublicKey{i.public, later}}); err != nil {
			t.Error(err)
		}
	})
	authenticator, err = auth.New(auth.Config{Keys: auth.Keys{Secret: []byte(testSecret), Public: []auth.PublicKey{i.public}},
		UnknownKey: func(string) (time.Duration, bool) { i.held.Add(1); <-i.release; knows(); return 0, false }})
	if err != nil {
		t.Fatal(err)
	}
	upgrader, err := handshake.New(handshake.Config{Authenticator: authenticator})
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, func(c *Config) {
		c.Upgrader = upgrader
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
	conn, err := r.dialTCP()
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	head := "GET /ws?" + query + " HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	if _, err := io.WriteString(conn, head+more); err != nil {
		r.t.Fatal(err)
	}
	return &raw{conn, bufio.NewReader(conn)}
}

// answered reads the answer to send.
func (c *raw) answered(t testing.TB, status int) *http.Response {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(patience)) // from now, as in Write
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
	eventually(r.t, "tokens are with the workers", func() bool { return r.server.Stats().Authenticating == n })
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
			l.wheel.Each(func(c *conn) {
				if c.state == stateOpen && c.extra != nil {
					t.Error("a connection keeps its token")
				}
			})
		})
		<-done
	}
	if s := r.server.Stats(); s.Refused["token_signature"] != 1 || s.Opened != 2 || s.Authenticating != 0 {
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
	other := r.send(issuer.token(t, strings.Repeat("k", 700), "x"), "")
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

// The bytes kept of these frames are bounded.
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

// A client that has gone before the answer leaves nothing behind, and costs no check if its turn has not come.
func TestClientGoesBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	r, issuer := startIssuer(t, func(c *Config) { c.AuthWorkers = 1 })
	first := r.send(issuer.token(t, "later", "alice"), "")
	eventually(t, "the worker is held", func() bool { return issuer.held.Load() == 1 })
	second := r.send(issuer.token(t, "never", "bob"), "")
	r.checkingIs(2)
	_, _ = first.Close(), second.Close()
	eventually(t, "both are gone", func() bool { s := r.server.Stats(); return s.Sockets == 0 && s.Authenticating == 0 })
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
	r, issuer := startIssuer(t, func(c *Config) { c.AuthTimeout = time.Hour })
	client := r.send(issuer.token(t, "later", "alice"), "")
	r.checkingIs(1)
	r.timeOut()
	if response := client.answered(t, http.StatusServiceUnavailable); response.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	issuer.let()
	eventually(t, "it is counted", func() bool { return r.server.Stats().Refused["token_checks_full"] == 1 })
	if n := r.server.Stats().Opened; n != 0 {
		t.Errorf("%d opened", n)
	}
}

// sendFrom is send from an address of this machine.
func (r *rig) sendFrom(address, token string) *raw {
	r.t.Helper()
	client := r.dialFrom(address)
	client.send(r.t, "GET /ws?token="+token+" HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	return client
}

// hold has the one worker wait, and the queue behind it grow.
func (i *issuer) hold(r *rig) {
	r.t.Helper()
	r.sendFrom("127.0.2.1", i.token(r.t, "later", "held"))
	eventually(r.t, "the worker is held", func() bool { return i.held.Load() == 1 })
}

// forged is a token whose signature no key made, of a kid unless that is empty.
func (i *issuer) forged(t *testing.T, kid string) string {
	t.Helper()
	token := i.token(t, kid, "mallory")
	return token[:strings.LastIndexByte(token, '.')+1] + strings.Repeat("A", 86)
}

// Junk in any number leaves those who have a right their place in the queue, and is told to come again.
func TestJunkTokensKeepNobodyWaiting(t *testing.T) {
	t.Parallel()
	const most, junk, honest = 20, 100, 10
	for name, tt := range map[string]struct {
		kid       string
		addresses int
	}{
		"of keys that are not known, from anywhere":   {"other", junk},
		"that name the right key, of one address":     {"known", 1},
		"that name the right key, of a few addresses": {"known", 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, issuer := startIssuer(t, func(c *Config) {
				c.AuthWorkers, c.AuthQueue, c.AuthTimeout, c.HandshakeTimeout, c.RejectAfterUpgrade = 1, most, time.Hour, time.Hour, RejectAlways
			})
			issuer.hold(r)
			var clients []*raw
			for n := range junk {
				r.sendFrom(fmt.Sprintf("127.0.3.%d", n%tt.addresses+1), issuer.forged(t, tt.kid))
				eventually(t, "it is taken", func() bool {
					s := r.server.Stats()
					return s.Authenticating+int(s.Refused["token_checks_full"]) == n+len(clients)+2
				})
				if n%(junk/honest) == 0 {
					clients = append(clients, r.sendFrom(fmt.Sprintf("127.0.4.%d", n+1), issuer.token(t, "known", "alice")))
				}
			}
			r.connect("erin") // with the secret: that needs no worker
			eventually(t, "those that lost their places are refused by their loops", func() bool {
				s := r.server.Stats()
				return s.Authenticating == most+1 && s.Refused["token_checks_full"] == junk+honest-most
			})
			issuer.let()
			for n, client := range clients {
				client.answered(t, http.StatusSwitchingProtocols)
				r.deliver("alice", `{"type":"n"}`)
				if opcode, payload := client.readFrame(t); opcode != 0x81 {
					t.Errorf("honest client %d got %x %q", n, opcode, payload)
				}
			}
		})
	}
}

// A signature that is not as long as its key's is refused at once, while the workers are busy.
func TestWrongLengthsWaitForNobody(t *testing.T) {
	t.Parallel()
	r, issuer := startIssuer(t, func(c *Config) { c.AuthWorkers = 1 })
	issuer.hold(r)
	token := issuer.token(t, "known", "mallory")
	for _, cut := range []int{1, 2, 42} { // 85 characters are no base64, 84 and 44 are 63 and 33 bytes
		r.send(token[:len(token)-cut], "").answered(t, http.StatusUnauthorized)
	}
	if s := r.server.Stats(); s.Authenticating != 1 || s.Refused["token_signature"] != 2 || s.Refused["token_malformed"] != 1 {
		t.Errorf("%d are checked, refused are %v", s.Authenticating, s.Refused)
	}
	issuer.let()
}

// A handshake that waits too long is told to come again, and its place is free.
func TestChecksWaitForATime(t *testing.T) {
	t.Parallel()
	r, issuer := startIssuer(t, func(c *Config) { c.AuthWorkers, c.AuthTimeout, c.HandshakeTimeout = 1, time.Second, time.Hour })
	release := r.server.workers.hold(t)
	client := r.send(issuer.token(t, "known", "alice"), "")
	if response := client.answered(t, http.StatusServiceUnavailable); response.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	eventually(t, "none is checked", func() bool { return r.server.Stats().Authenticating == 0 })
	r.server.workers.mu.Lock()
	if n := r.server.workers.tokens.waiting; n != 0 {
		t.Errorf("%d wait", n)
	}
	r.server.workers.mu.Unlock()
	release()
}

// A server that ends answers those whose token is being checked, and its workers end with it.
func TestShutdownWhileATokenIsChecked(t *testing.T) {
	t.Parallel()
	r, issuer := startIssuer(t, nil)
	client := r.send(issuer.token(t, "later", "alice"), "")
	r.checkingIs(1)
	ended := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
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

// Deliveries don't wait for many answers.
func TestDeliveriesPassManyTasks(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *Config) { c.Loops = 1 })
	client := r.connect("alice")
	l := r.server.loops[0]
	release := l.hold()
	var sent uint64
	done := make(chan struct{})
	l.tasks.add(func() { r.hub.Deliver("alice", `{"type":"n"}`) })
	for range mailEvery - 1 {
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
