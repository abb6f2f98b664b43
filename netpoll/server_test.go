package netpoll

import (
	"bufio"
	"cmp"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/gorilla/websocket"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"roost/hub"
	"roost/wsproto/auth"
	"roost/wsproto/handshake"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testSecret = "a secret of at least thirty-two bytes"

// rig is a server on a port of its own, with a hub to deliver through.
type rig struct {
	t      testing.TB
	server *Server
	hub    *hub.Hub
	addr   string
	served chan error
}

// start runs a server until the test ends. change may alter its configuration.
func start(t testing.TB, change func(*Config)) *rig {
	t.Helper()
	ln, err := Listen(t.Context(), ListenConfig{Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	return startOn(t, change, ln)
}

// newUpgrader makes one. Without keys it has the tests' secret.
func newUpgrader(t testing.TB, tokens auth.Config, config handshake.Config) *handshake.Upgrader {
	t.Helper()
	if tokens.Keys.Secret == nil && tokens.Keys.Public == nil {
		tokens.Keys.Secret = []byte(testSecret)
	}
	var err error
	if config.Authenticator, err = auth.New(tokens); err != nil {
		t.Fatal(err)
	}
	upgrader, err := handshake.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return upgrader
}

// startOn is start on a listener.
func startOn(t testing.TB, change func(*Config), ln *net.TCPListener) *rig {
	t.Helper()
	if overTLS(t) {
		return startSecure(t, testTLS(t, TLSOptions{}), change, ln)
	}
	return startOnBoth(t, nil, change, ln, nil)
}

// startSecure is startOn with TLS.
func startSecure(t testing.TB, with *TLS, change func(*Config), ln *net.TCPListener) *rig {
	t.Helper()
	return startOnBoth(t, with, change, nil, ln)
}

// startOnBoth runs a server on a plain and a TLS listener, of which one may be nil.
func startOnBoth(t testing.TB, with *TLS, change func(*Config), plain, secure *net.TCPListener) *rig {
	t.Helper()
	h := hub.New(hub.Config{Logger: slog.New(slog.DiscardHandler)})
	cfg := Config{Rules: Rules{Upgrader: newUpgrader(t, auth.Config{}, handshake.Config{})}, Hub: h, Logger: slog.New(slog.DiscardHandler), Loops: 2,
		LingerTimeout: 200 * time.Millisecond,
		// On a busy machine a test may take long. None waits for these.
		HandshakeTimeout: time.Hour, AuthTimeout: time.Hour, WriteWait: time.Hour, PingInterval: time.Hour, PongWait: 2 * time.Hour}
	cfg.TLS = with
	if change != nil {
		change(&cfg)
	}
	server, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, server: server, hub: cfg.Hub, addr: cmp.Or(plain, secure).Addr().String(), served: make(chan error, 1)}
	go func() { r.served <- server.Serve(plain, secure) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := server.Shutdown(ctx, GoingAway()); err != nil && err != ErrClosed {
			t.Errorf("shutting down: %v", err)
		}
	})
	return r
}

// deliver hands over one notification, as a feed does that has read one.
func (r *rig) deliver(user, payload string) {
	r.hub.Deliver(user, payload)
	r.server.Flush()
}

// deliverThrough is deliver, and returns when the notification is sent, waits in a send queue, or is lost. A loop that is busy comes to it
// only after deliver has returned.
func (r *rig) deliverThrough(user, payload string) {
	r.deliver(user, payload)
	r.server.WaitForLoops(r.t.Context(), false)
}

// hold keeps the loop busy until release is called.
func (l *loop) hold() (release func()) {
	held, end := make(chan struct{}), make(chan struct{})
	l.do(func() { close(held); <-end })
	<-held
	return sync.OnceFunc(func() { close(end) })
}

func token(t testing.TB, user string) string {
	t.Helper()
	claims := jwt.MapClaims{"sub": user, "exp": time.Now().Add(time.Hour).Unix()}
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(testSecret))
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// dialTCP connects, with TLS where the test is run over it.
func (r *rig) dialTCP() (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(r.t.Context(), "tcp", r.addr)
	if err != nil {
		return nil, err
	}
	return secured(r.t, conn), nil
}

// dialer is gorilla's, with TLS where the test is run over it.
func (r *rig) dialer() *websocket.Dialer {
	return &websocket.Dialer{HandshakeTimeout: 45 * time.Second, NetDialContext: func(context.Context, string, string) (net.Conn, error) { return r.dialTCP() }}
}

// connect opens a WebSocket with gorilla's client.
func (r *rig) connect(user string) *websocket.Conn {
	r.t.Helper()
	conn, _, err := r.dialer().DialContext(r.t.Context(), "ws://"+r.addr+"/ws?token="+token(r.t, user), nil)
	if err != nil {
		r.t.Fatalf("connecting as %s: %v", user, err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	answerPings(conn)
	return conn
}

// answerPings has a connection answer pings. Gorilla's own handler gives each answer a second, which may pass on a busy machine before a byte is
// written, and then fails the connection. That a ping can't be answered, because one side has closed by then, hides nothing that came behind it.
func answerPings(conn *websocket.Conn) {
	conn.SetPingHandler(func(data string) error {
		_ = conn.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(patience))
		return nil
	})
}

// raw is a client that sends and reads bytes.
type raw struct {
	net.Conn
	r *bufio.Reader
}

// upgrade opens a WebSocket by hand, with a small receive buffer so that a
// client that stops reading is felt soon.
func (r *rig) upgrade(user string) *raw {
	r.t.Helper()
	dialer := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 16<<10) })
	}}
	conn, err := dialer.DialContext(r.t.Context(), "tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	tcp := secured(r.t, conn)
	r.t.Cleanup(func() { _ = tcp.Close() })
	_ = tcp.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(tcp, upgradeRequest(r.t, user)); err != nil {
		r.t.Fatal(err)
	}
	reader := bufio.NewReader(tcp)
	response, err := http.ReadResponse(reader, nil)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		r.t.Fatalf("upgrading: %v, %v", response, err)
	}
	return &raw{tcp, reader}
}

// Write has patience from now on, and not from when it connected: the test may have done much since.
func (c *raw) Write(b []byte) (int, error) {
	_ = c.SetWriteDeadline(time.Now().Add(patience))
	return c.Conn.Write(b)
}

// readFrame reads one unmasked server frame that is not a ping: the first of
// those may come at any time.
func (c *raw) readFrame(t testing.TB) (opcode byte, payload []byte) {
	t.Helper()
	for {
		if opcode, payload = c.readAnyFrame(t); opcode != 0x89 {
			return opcode, payload
		}
	}
}

// readAnyFrame reads one unmasked server frame.
func (c *raw) readAnyFrame(t testing.TB) (opcode byte, payload []byte) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(patience)) // from now, as in Write
	var header [2]byte
	if _, err := io.ReadFull(c.r, header[:]); err != nil {
		t.Fatalf("reading a frame's header: %v", err)
	}
	size := int(header[1])
	if size == 126 {
		var long [2]byte
		if _, err := io.ReadFull(c.r, long[:]); err != nil {
			t.Fatal(err)
		}
		size = int(long[0])<<8 | int(long[1])
	}
	payload = make([]byte, size)
	if _, err := io.ReadFull(c.r, payload); err != nil {
		t.Fatalf("reading a frame's payload: %v", err)
	}
	return header[0], payload
}

// masked builds a client frame with the mask zero.
func masked(first byte, payload string) []byte {
	if len(payload) > 125 {
		panic("short frames only")
	}
	return append([]byte{first, 0x80 | byte(len(payload)), 0, 0, 0, 0}, payload...)
}

// patience is how long anything that should happen soon may take, on a machine that is busy with other things as well.
const patience = time.Minute

// eventually waits for a condition that other goroutines bring about.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	eventuallyWithin(t, patience, what, condition)
}

// eventuallyWithin is eventually for what takes much work, and several minutes of a machine that is busy with other things.
func eventuallyWithin(t testing.TB, limit time.Duration, what string, condition func() bool) {
	t.Helper()
	if !within(limit, condition) {
		t.Fatalf("waited in vain: %s", what)
	}
}

// within waits until the condition holds, and returns false if it has not within limit.
func within(limit time.Duration, condition func() bool) bool {
	deadline := time.Now().Add(limit)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		if time.Now().After(deadline) {
			return false
		}
		<-tick.C
	}
	return true
}

// inOneOfMany makes an attempt that a busy machine may spoil, again and again for three minutes, until one says something. Where none does, the
// test fails.
func inOneOfMany(t *testing.T, otherwise string, attempt func(*testing.T) bool) {
	t.Helper()
	for begun := time.Now(); time.Since(begun) < 3*patience; {
		if attempt(t) {
			return
		}
	}
	t.Error(otherwise)
}

// balanced checks the promise that nothing disappears: what Stats takes for waiting, because it is neither sent nor lost, is in a queue.
func (r *rig) balanced() {
	r.t.Helper()
	eventually(r.t, "what waits is in a queue", func() bool {
		s := r.server.Stats()
		return s.Waiting == uint64(s.MailboxItems()+s.Queued)
	})
}
