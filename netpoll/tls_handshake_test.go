package netpoll

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"roost/netpoll/internal/tlshandshake"
)

// startTLS runs a server with a TLS port alone.
func startTLS(t testing.TB, o TLSOptions, change func(*Config)) *rig {
	t.Helper()
	ln, err := Listen(t.Context(), ListenConfig{Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	return startSecure(t, testTLS(t, o), change, ln)
}

// dialTLS connects to the TLS port, from 127.0.0.1 unless an address is given, and does no handshake yet.
func (r *rig) dialTLS(from string, config *tls.Config) (*raw, *tls.Conn) {
	r.t.Helper()
	if from == "" {
		from = "127.0.0.1"
	}
	client := r.dialFrom(from)
	config.InsecureSkipVerify = true
	secure := tls.Client(client.Conn, config)
	return &raw{secure, bufio.NewReader(secure)}, secure
}

// upgradeTLS opens a WebSocket over TLS.
func (r *rig) upgradeTLS(user string, config *tls.Config) (*raw, *tls.Conn) {
	r.t.Helper()
	client, conn := r.dialTLS("", config)
	client.send(r.t, upgradeRequest(r.t, user))
	client.answered(r.t, http.StatusSwitchingProtocols)
	return client, conn
}

// helloBytes is what a client sends first.
func helloBytes(t testing.TB, config *tls.Config) []byte {
	t.Helper()
	config.InsecureSkipVerify = true
	ours, theirs := net.Pipe()
	defer func() { _ = ours.Close() }()
	go func() { _ = tls.Client(theirs, config).Handshake(); _ = theirs.Close() }()
	header := make([]byte, 5)
	if _, err := io.ReadFull(ours, header); err != nil {
		t.Fatal(err)
	}
	hello := append(header, make([]byte, int(header[3])<<8|int(header[4]))...)
	if _, err := io.ReadFull(ours, hello[5:]); err != nil {
		t.Fatal(err)
	}
	return hello
}

// Clients of the wrong port are told so where that is possible, and counted.
func TestWrongPort(t *testing.T) {
	t.Parallel()
	r := startTLS(t, TLSOptions{}, nil)
	client := r.dialFrom("127.0.0.1")
	client.send(t, "GET /ws HTTP/1.1\r\nHost: h\r\n\r\n")
	if status, body := client.status(t); status != 400 || !strings.Contains(body, "wss://") {
		t.Errorf("HTTP on the TLS port is answered %d %q", status, body)
	}
	junk := r.dialFrom("127.0.0.1")
	junk.send(t, "\x00\x01\x02\x03")
	junk.gone(t)
	old := r.dialFrom("127.0.0.1")
	old.send(t, "\x80\x2e\x01\x03\x01") // SSL 2.0
	old.gone(t)
	_ = r.dialFrom("127.0.0.1").Close() // a probe
	eventually(t, "all have gone", func() bool { return r.server.Stats().Sockets == 0 })
	if s := r.server.Stats(); s.Refused["plain_http"] != 1 || s.Unanswered["not_tls"] != 2 || len(s.TLSFailures) != 0 || s.TLS13 != 0 {
		t.Errorf("refused %v, unanswered %v, failures %v", s.Refused, s.Unanswered, s.TLSFailures)
	}

	plain := start(t, nil)
	secure := plain.dialFrom("127.0.0.1")
	if err := tls.Client(secure.Conn, &tls.Config{InsecureSkipVerify: true}).Handshake(); err == nil {
		t.Error("a TLS handshake ends well on the plain port")
	}
	if n := plain.server.Stats().Unanswered["tls_to_plain_port"]; n != 1 {
		t.Errorf("%d TLS handshakes are counted on the plain port", n)
	}
}

// gone waits for the end of the stream.
func (c *raw) gone(t testing.TB) {
	t.Helper()
	if b, err := io.ReadAll(c.r); len(b) > 0 || err != nil && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "reset") {
		t.Errorf("%q, %v, in place of the end", b, err)
	}
}

// slicer writes what it is given in pieces.
type slicer struct {
	net.Conn
	size int
}

func (s slicer) Write(b []byte) (int, error) {
	for i := 0; i < len(b); i += s.size {
		if n, err := s.Conn.Write(b[i:min(i+s.size, len(b))]); err != nil {
			return i + n, err
		}
	}
	return len(b), nil
}

// The network may cut everything anywhere: hellos, the last flight with the request behind it, frames.
func TestTLSInPieces(t *testing.T) {
	t.Parallel()
	r := startTLS(t, TLSOptions{}, nil)
	for _, version := range []uint16{tls.VersionTLS13, tls.VersionTLS12} {
		for _, size := range []int{1, 2, 3, 5, 7, 21, 22, 23, 100} {
			client := r.dialFrom("127.0.0.1")
			secure := tls.Client(slicer{client.Conn, size}, &tls.Config{InsecureSkipVerify: true, MaxVersion: version})
			c := &raw{secure, bufio.NewReader(secure)}
			c.send(t, upgradeRequest(t, "alice"))
			c.answered(t, http.StatusSwitchingProtocols)
			for range 3 {
				text := strings.Repeat("x", 100)
				c.send(t, string(masked(0x89, text))+string(masked(0x89, "two")))
				for _, want := range []string{text, "two"} {
					if opcode, payload := c.readFrame(t); opcode != 0x8a || string(payload) != want {
						t.Fatalf("%s in pieces of %d: %x %q", tls.VersionName(version), size, opcode, payload)
					}
				}
			}
			r.deliver("alice", `{"type":"n"}`)
			if opcode, _ := c.readFrame(t); opcode != 0x81 {
				t.Fatalf("got %x", opcode)
			}
			_ = secure.Close()
		}
	}
	eventually(t, "all have gone", func() bool { return r.server.Stats().Sockets == 0 })
	if s := r.server.Stats(); s.RecordBytes != 0 || s.PendingBytes != 0 || len(s.TLSFailures) != 0 {
		t.Errorf("%d bytes of records and %d of handshakes are kept for nobody, %v failed", s.RecordBytes, s.PendingBytes, s.TLSFailures)
	}
	r.balanced()
}

// Behind a proxy that terminates nothing the PROXY header comes first, once, and names the client.
func TestProxyHeaderBeforeTLS(t *testing.T) {
	t.Parallel()
	var log lines
	r := startTLS(t, TLSOptions{}, func(c *Config) {
		c.ProxyProtocol = true
		c.Upgrader = trustingUpgrader(t)
		c.Logger = slog.New(slog.NewJSONHandler(&log, nil))
	})
	for name, header := range map[string]string{"text": textHeader("192.0.2.7"), "binary": binaryHeader(9, 0)} {
		for _, size := range []int{1, 1000} {
			client := r.dialFrom("127.0.0.1")
			cut := slicer{client.Conn, size}
			if _, err := cut.Write([]byte(header)); err != nil {
				t.Fatal(err)
			}
			secure := tls.Client(cut, &tls.Config{InsecureSkipVerify: true})
			c := &raw{secure, bufio.NewReader(secure)}
			c.send(t, upgradeRequest(t, name))
			c.answered(t, http.StatusSwitchingProtocols)
			_ = secure.Close()
		}
	}
	if line := log.find("connected"); !strings.HasPrefix(line["remote"].(string), "192.0.2.") {
		t.Errorf("%v", line)
	}
	missing, secure := r.dialTLS("", &tls.Config{})
	if err := secure.Handshake(); err == nil {
		t.Error("a trusted proxy gets a handshake without its header")
	}
	_ = missing.Close()
	eventually(t, "it is refused", func() bool { return r.server.Stats().Refused["proxy_header_missing"] == 1 })
}

// An ACME server's challenge is the handshake alone.
func TestAcmeChallenge(t *testing.T) {
	t.Parallel()
	challenge := newCertificate("challenge.invalid")
	r := startTLS(t, TLSOptions{Protocols: []string{"http/1.1", AcmeProtocol}, GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == AcmeProtocol {
			return &challenge, nil
		}
		return nil, nil
	}}, nil)
	client, conn := r.dialTLS("", &tls.Config{NextProtos: []string{AcmeProtocol}, ServerName: "challenge.invalid"})
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	if state := conn.ConnectionState(); state.PeerCertificates[0].Subject.CommonName != "challenge.invalid" || state.NegotiatedProtocol != AcmeProtocol {
		t.Errorf("%s for %s", state.PeerCertificates[0].Subject, state.NegotiatedProtocol)
	}
	if n, err := client.Read(make([]byte, 1)); n != 0 || err != io.EOF { // with a close_notify
		t.Errorf("%d bytes, %v", n, err)
	}
	r.upgradeTLS("alice", &tls.Config{NextProtos: []string{"http/1.1"}})
}

// Certificates and ticket keys can be replaced while clients come and go; none is refused for it.
func TestCertificatesAreReplacedUnderLoad(t *testing.T) {
	t.Parallel()
	secure := testTLS(t, TLSOptions{})
	ln, err := Listen(t.Context(), ListenConfig{Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	r := startSecure(t, secure, nil, ln)
	second := newCertificate("second.invalid")
	var clients sync.WaitGroup
	replaced := make(chan struct{})
	for range 4 {
		clients.Go(func() {
			config := &tls.Config{InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
			for after := 0; after < 3; {
				conn, err := tls.Dial("tcp", r.addr, config)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = conn.Write([]byte("GET /health HTTP/1.1\r\nHost: h\r\n\r\n"))
				if _, err := io.ReadAll(conn); err != nil {
					t.Error(err)
				}
				if conn.ConnectionState().PeerCertificates[0].Subject.CommonName == "second.invalid" {
					after++
				}
				_ = conn.Close()
				select {
				case <-replaced:
					config = &tls.Config{InsecureSkipVerify: true} // a ticket is for the certificate that was shown
				default:
				}
			}
		})
	}
	eventually(t, "clients come", func() bool { return r.server.Stats().Health > 20 })
	secure.SetCertificates([]tls.Certificate{second})
	secure.SetTicketKeys([][32]byte{{1}, {2}})
	close(replaced)
	clients.Wait()
	s := r.server.Stats()
	resumed, full := 0, 0
	for kind, n := range s.TLSHandshakes {
		if kind.Version != "1.3" || !strings.HasPrefix(kind.Suite, "TLS_") {
			t.Errorf("%+v", kind)
		}
		if kind.Resumed {
			resumed += int(n)
		} else {
			full += int(n)
		}
	}
	if resumed == 0 || full == 0 || len(s.TLSFailures) != 0 || count(s.TLSTimes) != uint64(resumed+full) {
		t.Errorf("%d resumed, %d full, failures %v", resumed, full, s.TLSFailures)
	}
}

// Alerts are counted by their names, and by who sent them.
func TestTLSFailuresAreCounted(t *testing.T) {
	t.Parallel()
	r := startTLS(t, TLSOptions{MinVersion: tls.VersionTLS13}, nil)
	_, old := r.dialTLS("", &tls.Config{MaxVersion: tls.VersionTLS12})
	if err := old.Handshake(); err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("TLS 1.2 is told %v", err)
	}
	client := r.dialFrom("127.0.0.1")
	strict := tls.Client(client.Conn, &tls.Config{ServerName: "elsewhere.invalid"})
	if err := strict.Handshake(); err == nil {
		t.Error("a certificate of nobody is accepted")
	}
	eventually(t, "both are counted", func() bool { return len(r.server.Stats().TLSFailures) == 2 })
	failures := r.server.Stats().TLSFailures
	if failures[TLSFailure{"protocol_version", "server"}] != 1 || failures[TLSFailure{"bad_certificate", "client"}] != 1 {
		t.Errorf("%v", failures)
	}
}

// Both ports of one server, and its numbers by version.
func TestPlainAndTLSPort(t *testing.T) {
	t.Parallel()
	plain, err := Listen(t.Context(), ListenConfig{Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	secure, err := Listen(t.Context(), ListenConfig{Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	r := startOnBoth(t, testTLS(t, TLSOptions{}), nil, plain, secure)
	other := *r
	other.addr = secure.Addr().String()
	clear := r.connect("alice")
	modern, _ := other.upgradeTLS("alice", &tls.Config{})
	old, _ := other.upgradeTLS("alice", &tls.Config{MaxVersion: tls.VersionTLS12})
	r.deliver("alice", `{"type":"n"}`)
	if _, message, err := clear.ReadMessage(); err != nil || !bytes.Contains(message, []byte(`"n"`)) {
		t.Errorf("%q, %v", message, err)
	}
	for _, client := range []*raw{modern, old} {
		if opcode, _ := client.readFrame(t); opcode != 0x81 {
			t.Errorf("got %x", opcode)
		}
	}
	if n := r.server.Stats().TLSConnections; n["1.3"] != 1 || n["1.2"] != 1 {
		t.Errorf("%v", n)
	}
	_, _ = modern.Close(), old.Close()
	eventually(t, "they have gone", func() bool { n := r.server.Stats().TLSConnections; return n["1.3"]+n["1.2"] == 0 })
	r.balanced()
}

// A handshake that panics is closed, whoever it belongs to by then.
func TestPanicInATLSHandshake(t *testing.T) {
	t.Parallel()
	panics := func(*tls.ClientHelloInfo) (*tls.Certificate, error) { panic("no certificate") }
	r := startTLS(t, TLSOptions{GetCertificate: panics}, nil)
	for _, version := range []uint16{tls.VersionTLS13, tls.VersionTLS12} {
		_, client := r.dialTLS("", &tls.Config{MaxVersion: version, ServerName: "roost.invalid"})
		if err := client.Handshake(); err == nil {
			t.Error("a handshake ended well")
		}
	}
	eventually(t, "both are gone", func() bool { return r.server.Stats().Sockets == 0 && r.server.Stats().Panics == 2 })

	r.dialFrom("127.0.0.1")
	eventually(t, "one has come", func() bool { return r.server.Stats().Sockets == 1 })
	for owner, want := range map[tlsOwner]tlsOwner{ownedByWorker: ownedByLoop, ownedByNobody: ownedByNobody} {
		k := &tlsJob{c: &conn{loop: r.server.loops[0], state: stateClosed}, handshake: r.server.cfg.TLS.Start(), owner: owner}
		if _, err := k.handshake.Feed(helloBytes(t, &tls.Config{ServerName: "roost.invalid"})); err != nil {
			t.Fatal(err)
		}
		k.run(r.server)
		if k.owner != want {
			t.Errorf("a handshake of owner %d belongs to %d after a panic, want %d", owner, k.owner, want)
		}
		if _, err := k.handshake.Feed(nil); owner == ownedByNobody && !errors.Is(err, tlshandshake.ErrEnded) {
			t.Errorf("a handshake of nobody is not closed: %v", err)
		}
	}
}
