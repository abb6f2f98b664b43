package netpoll

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"roost/netpoll/proxyproto"
	"roost/wsproto/auth"
	"roost/wsproto/handshake"
)

// binaryHeader is a PROXY header of version 2: TCP over IPv4 from 192.0.2.last:4711, and extensions.
func binaryHeader(last byte, extensions int) string {
	block := string([]byte{192, 0, 2, last, 198, 51, 100, 1, 0x12, 0x67, 0x01, 0xbb}) + strings.Repeat("\x04", extensions)
	return "\r\n\r\n\x00\r\nQUIT\n\x21\x11" + string([]byte{byte(len(block) >> 8), byte(len(block))}) + block
}

// textHeader is one of version 1, from port 4711.
func textHeader(source string) string {
	family, destination := "TCP4", "198.51.100.1"
	if strings.Contains(source, ":") {
		family, destination = "TCP6", "2001:db8:ffff::1"
	}
	return "PROXY " + family + " " + source + " " + destination + " 4711 443\r\n"
}

func localHeader() string { return string(proxyproto.AppendLocal(nil)) }

const healthRequest = "GET /health HTTP/1.1\r\nHost: h\r\n\r\n"

// proxied runs a server with the PROXY protocol that trusts some addresses.
func proxied(t *testing.T, trusted string, change func(*Config)) *rig {
	t.Helper()
	return start(t, func(c *Config) {
		c.Upgrader = newUpgrader(t, auth.Config{}, handshake.Config{TrustedProxies: []string{trusted}})
		c.ProxyProtocol = true
		if change != nil {
			change(c)
		}
	})
}

// dial opens a connection that says nothing yet.
func (r *rig) dial() *raw {
	r.t.Helper()
	conn, err := r.dialTCP()
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return &raw{conn, bufio.NewReader(conn)}
}

func (c *raw) send(t testing.TB, text string) {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(patience)) // from now, as in Write
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

// status reads an answer, and returns its status and body, 0 for none.
func (c *raw) status(t testing.TB) (status int, body string) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(patience)) // from now, as in Write
	response, err := http.ReadResponse(c.r, nil)
	if err == io.ErrUnexpectedEOF {
		return 0, ""
	}
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		text, _ := io.ReadAll(response.Body)
		body = string(text)
	}
	return response.StatusCode, body
}

// wants sends bytes over a connection of their own and checks what is answered.
func (r *rig) wants(status int, bytes string) *raw {
	r.t.Helper()
	client := r.dial()
	client.send(r.t, bytes)
	if got, body := client.status(r.t); got != status {
		r.t.Errorf("%.80q: answered %d %s, want %d", bytes, got, body, status)
	}
	return client
}

// lineAdded adds a line to a request.
func lineAdded(request, line string) string {
	return strings.TrimSuffix(request, "\r\n") + line + "\r\n\r\n"
}

// The address in the header is the one that limits count.
func TestProxyHeaderNamesTheClient(t *testing.T) {
	t.Parallel()
	r := proxied(t, "127.0.0.0/8", func(c *Config) { c.MaxPerIP = 1 })
	ask := upgradeRequest(t, "alice")
	const in, full = http.StatusSwitchingProtocols, http.StatusTooManyRequests
	r.wants(in, textHeader("192.0.2.1")+ask)
	r.wants(full, textHeader("192.0.2.1")+ask)
	r.wants(full, binaryHeader(1, 0)+ask) // the same, in version 2
	r.wants(in, binaryHeader(2, 40)+ask)
	r.wants(full, textHeader("::ffff:192.0.2.2")+ask)
	r.wants(in, textHeader("2001:db8::1")+ask)
	r.wants(full, textHeader("2001:db8::2")+ask) // the same /64

	r.wants(in, localHeader()+ask) // the proxy's own connection counts as the proxy's
	r.wants(full, "PROXY UNKNOWN\r\n"+ask)

	// The address that is named counts as if it had connected: X-Forwarded-For is believed of a proxy only.
	r.wants(in, textHeader("127.0.0.9")+lineAdded(ask, "X-Forwarded-For: 203.0.113.1, 192.0.2.77"))
	r.wants(full, textHeader("192.0.2.77")+ask)
	r.wants(full, textHeader("192.0.2.77")+lineAdded(ask, "X-Forwarded-For: 192.0.2.78"))
	r.wants(in, localHeader()+lineAdded(ask, "X-Forwarded-For: 192.0.2.79"))
	if n := r.server.Stats().Refused["address_full"]; n != 7 {
		t.Errorf("%d refusals are counted, want 7", n)
	}
}

// In whatever pieces header and request come, it is the same.
func TestProxyHeaderInPieces(t *testing.T) {
	t.Parallel()
	r := proxied(t, "127.0.0.1", func(c *Config) { c.MaxPerIP, c.Loops = 1, 1 })
	request := upgradeRequest(t, "alice") + string(masked(0x89, "ping"))
	for i, header := range []string{textHeader("192.0.2.1"), binaryHeader(2, 30), textHeader("2001:db8::1"), localHeader()} {
		text := header + request
		for n := 1; n <= len(header)+5; n++ {
			client := r.dial()
			r.sendApart(client, text[:n])
			client.send(t, text[n:])
			r.checkPonged(client, header)
		}
		client := r.dial() // and a byte at a time
		for n := range len(header) + 5 {
			r.sendApart(client, text[n:n+1])
		}
		client.send(t, text[len(header)+5:])
		r.checkPonged(client, header)
		if s := r.server.Stats(); s.Opened != uint64(s.SocketsOpened) {
			t.Fatalf("header %d: %d of %d got in, refused %v", i, s.Opened, s.SocketsOpened, s.Refused)
		}
	}
}

// sendApart sends bytes and waits until the server has them.
func (r *rig) sendApart(client *raw, text string) {
	r.t.Helper()
	before := r.server.Stats().BytesIn
	client.send(r.t, text)
	eventually(r.t, "the bytes are there", func() bool { return r.server.Stats().BytesIn == before+len(text) })
}

// checkPonged checks for a 101 and the answer to a ping that came behind the request, and ends the connection.
func (r *rig) checkPonged(client *raw, header string) {
	r.t.Helper()
	if status, body := client.status(r.t); status != http.StatusSwitchingProtocols {
		r.t.Fatalf("%q: answered %d %s", header, status, body)
	}
	if opcode, payload := client.readFrame(r.t); opcode != 0x8a || string(payload) != "ping" {
		r.t.Fatalf("%q: got %x %q, want a pong", header, opcode, payload)
	}
	_ = client.Close()
	eventually(r.t, "it is gone", func() bool { s := r.server.Stats(); return s.Sockets == 0 && r.server.unfinished() == 0 })
}

// A trusted proxy has to send a header, and a right one, for whatever it asks.
func TestProxyHeaderIsRequired(t *testing.T) {
	t.Parallel()
	r := proxied(t, "127.0.0.1", nil)
	for _, test := range []struct{ bytes, reason string }{
		{upgradeRequest(t, "alice"), "proxy_header_missing"},
		{healthRequest, "proxy_header_missing"},
		{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "proxy_header_missing"}, // the hello of a TLS client
		{"G", "proxy_header_missing"},                                            // said as soon as it is clear
		{"\r\n\r\nG", "proxy_header_missing"},
		{"PROXY TCP4 192.0.2.01 198.51.100.1 1 2\r\n" + healthRequest, "proxy_header_invalid"},
		{"PROXY UNKNOWN\n" + healthRequest, "proxy_header_invalid"},
		{"PROXY UNKNOWN " + strings.Repeat("x", 200), "proxy_header_invalid"},
		{localHeader()[:12] + "\x31\x11", "proxy_header_invalid"},
		{localHeader()[:12] + "\x21\x11\xff\xff", "proxy_header_invalid"},
		{textHeader("192.0.2.1") + textHeader("192.0.2.1") + healthRequest, "bad_request"}, // one only
	} {
		before := r.server.Stats().Refused[test.reason]
		client := r.wants(http.StatusBadRequest, test.bytes)
		if n := r.server.Stats().Refused[test.reason]; n != before+1 {
			t.Errorf("%.60q: %s is counted %d times, want %d", test.bytes, test.reason, n, before+1)
		}
		_ = client.Close()
	}
	eventually(t, "no socket is left", func() bool { return r.server.Stats().Sockets == 0 })
	if s := r.server.Stats(); s.Opened != 0 || s.Health != 0 || r.server.unfinished() != 0 {
		t.Errorf("%d got in, %d health checks were answered, %d are being served", s.Opened, s.Health, r.server.unfinished())
	}
}

// An address that is not trusted can't name anybody, and needs no header.
func TestProxyHeaderOfOthers(t *testing.T) {
	t.Parallel()
	r := proxied(t, "192.0.2.0/24", func(c *Config) { c.MaxPerIP = 1 })
	r.wants(http.StatusBadRequest, textHeader("192.0.2.1")+upgradeRequest(t, "alice"))
	r.wants(http.StatusBadRequest, binaryHeader(1, 0)+healthRequest)
	r.wants(http.StatusBadRequest, localHeader()+healthRequest)
	if n := r.server.Stats().Refused["proxy_header_untrusted"]; n != 3 {
		t.Errorf("%d are counted as untrusted, want 3", n)
	}
	r.wants(http.StatusBadRequest, localHeader()[:13]) // nobody waits for the rest
	r.wants(http.StatusBadRequest, "PROXY TCP4 x\r\n\r\n")
	r.wants(http.StatusOK, healthRequest)
	r.wants(http.StatusSwitchingProtocols, upgradeRequest(t, "alice"))
	r.wants(http.StatusTooManyRequests, upgradeRequest(t, "alice"))
}

// Without the configuration a header is bad HTTP, also from a trusted proxy.
func TestProxyHeaderUnasked(t *testing.T) {
	t.Parallel()
	r := proxied(t, "127.0.0.1", func(c *Config) { c.ProxyProtocol = false })
	r.wants(http.StatusBadRequest, textHeader("192.0.2.1")+healthRequest)
	r.wants(http.StatusBadRequest, binaryHeader(1, 0)+healthRequest)
	r.wants(http.StatusOK, healthRequest)
	if n := r.server.Stats().Refused["bad_request"]; n != 2 {
		t.Errorf("%d are counted, want 2", n)
	}
}

func TestHealthBehindAProxy(t *testing.T) {
	t.Parallel()
	r := proxied(t, "127.0.0.1", nil)
	r.wants(http.StatusOK, localHeader()+healthRequest)
	r.wants(http.StatusOK, "PROXY UNKNOWN\r\n"+healthRequest)
	r.wants(http.StatusOK, textHeader("127.0.0.1")+healthRequest)
	if n := r.server.Stats().Health; n != 3 {
		t.Errorf("%d health checks are counted, want 3", n)
	}
}

// The longest header takes nothing of the longest request's room.
func TestProxyHeaderIsNoPartOfTheHead(t *testing.T) {
	t.Parallel()
	r := proxied(t, "127.0.0.1", nil)
	longest := lineAdded(healthRequest, "X: ")
	longest = strings.Replace(longest, "X: ", "X: "+strings.Repeat("x", handshake.MaxHead-len(longest)), 1)
	header := binaryHeader(1, 4096-12)
	if len(longest) != handshake.MaxHead || len(header) != proxyproto.MaxBinary {
		t.Fatal(len(longest), len(header))
	}
	r.wants(http.StatusOK, header+longest)
	r.wants(http.StatusRequestHeaderFieldsTooLarge, header+strings.Replace(longest, "X: ", "XX: ", 1))
	r.wants(http.StatusRequestHeaderFieldsTooLarge, header+strings.Repeat("x", handshake.MaxHead))
}

// The deadline of the handshake holds for header and request together. A client that has asked for nothing gets
// no answer.
func TestProxyHeaderTooSlow(t *testing.T) {
	t.Parallel()
	r := proxied(t, "127.0.0.1", nil)
	status := map[string]int{
		"":                                  0,
		"PROXY TC":                          0,
		textHeader("192.0.2.1"):             0,
		binaryHeader(1, 10):                 0,
		binaryHeader(1, 10)[:20]:            0,
		textHeader("192.0.2.1") + "G":       http.StatusRequestTimeout,
		binaryHeader(1, 10) + "GET /ws HTT": http.StatusRequestTimeout,
	}
	clients, sent := map[string]*raw{}, 0
	for bytes := range status {
		clients[bytes] = r.dial()
		clients[bytes].send(t, bytes)
		sent += len(bytes)
	}
	eventually(t, "all is read", func() bool { s := r.server.Stats(); return s.Pending == len(clients) && s.BytesIn == sent })
	r.timeOut()
	for bytes, client := range clients {
		if got, _ := client.status(t); got != status[bytes] {
			t.Errorf("%q: answered %d, want %d", bytes, got, status[bytes])
		}
		_ = client.Close()
	}
	eventually(t, "no socket is left", func() bool { return r.server.Stats().Sockets == 0 })
	if s := r.server.Stats(); s.Refused["handshake_timeout"] != 7 || r.server.unfinished() != 0 {
		t.Errorf("refused %v, %d are being served", s.Refused, r.server.unfinished())
	}
}

// A proxy that keeps connections ready for requests does not hold up the end.
func TestProxyHeaderAloneIsNoRequest(t *testing.T) {
	t.Parallel()
	r := proxied(t, "127.0.0.1", nil)
	silent, asking := r.dial(), r.dial()
	r.sendApart(silent, binaryHeader(1, 0)[:20])
	r.sendApart(silent, binaryHeader(1, 0)[20:])
	if n := r.server.unfinished(); n != 0 {
		t.Errorf("a header counts as %d requests", n)
	}
	r.sendApart(asking, binaryHeader(1, 0)+"G")
	r.sendApart(asking, "ET")
	if n := r.server.unfinished(); n != 1 {
		t.Errorf("a request counts as %d", n)
	}
	asking.send(t, strings.TrimPrefix(healthRequest, "GET"))
	if status, _ := asking.status(t); status != http.StatusOK {
		t.Errorf("answered %d", status)
	}
	_ = asking.Close()
	eventually(t, "only the silent one is left", func() bool { return r.server.Stats().Sockets == 1 && r.server.unfinished() == 0 })
	silent.send(t, healthRequest)
	if status, _ := silent.status(t); status != http.StatusOK {
		t.Errorf("answered %d", status)
	}
}

// lines is a log that keeps its lines.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// find returns the last line with a message.
func (l *lines) find(message string) (found map[string]any) {
	for line := range strings.Lines(l.String()) {
		var fields map[string]any
		if json.Unmarshal([]byte(line), &fields) == nil && fields["msg"] == message {
			found = fields
		}
	}
	return found
}

// Lines name the client, and the proxy beside it.
func TestLinesBehindAProxy(t *testing.T) {
	t.Parallel()
	ask := upgradeRequest(t, "alice")
	forwarded := lineAdded(ask, "X-Forwarded-For: 192.0.2.5")
	for name, test := range map[string]struct {
		trusted, bytes string
		remote         string // "" for the other end of the socket
		proxy          bool
	}{
		"a client":             {"192.0.2.0/24", ask, "", false},
		"a client that forges": {"192.0.2.0/24", forwarded, "", false},
		"version 1":            {"127.0.0.1", textHeader("192.0.2.1") + ask, "192.0.2.1:4711", true},
		"version 2":            {"127.0.0.1", binaryHeader(2, 0) + ask, "192.0.2.2:4711", true},
		"IPv6":                 {"127.0.0.1", textHeader("2001:db8::1") + ask, "[2001:db8::1]:4711", true},
		"LOCAL":                {"127.0.0.1", localHeader() + ask, "", true},
		"behind another proxy": {"127.0.0.0/8", textHeader("127.0.0.9") + forwarded, "192.0.2.5", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log lines
			r := proxied(t, test.trusted, func(c *Config) {
				c.Logger = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			})
			client := r.wants(http.StatusSwitchingProtocols, test.bytes)
			socket := client.LocalAddr().String()
			want := [2]any{test.remote, nil}
			if test.remote == "" {
				want[0] = socket
			}
			if test.proxy {
				want[1] = socket
			}
			if line := log.find("connected"); line["remote"] != want[0] || line["proxy"] != want[1] {
				t.Errorf("want %v in %v", want, line)
			}
			_ = client.Conn.(*net.TCPConn).CloseWrite()
			eventually(t, "the end is logged", func() bool { return log.find("disconnected") != nil })
			want = [2]any{socket, nil}
			if test.proxy {
				want = [2]any{nil, socket}
			}
			if line := log.find("disconnected"); line["remote"] != want[0] || line["proxy"] != want[1] {
				t.Errorf("want %v in %v", want, line)
			}
		})
	}
}

// Refusals are lines for who debugs, and a warning, seldom, where the proxy's configuration is wrong.
func TestRefusalLinesBehindAProxy(t *testing.T) {
	t.Parallel()
	var log lines
	r := proxied(t, "127.0.0.1", func(c *Config) {
		c.Logger = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	for _, test := range []struct{ bytes, reason, remote string }{
		{"GET /ws?token=secret-token HTTP/1.1\r\n\r\n", "bad_request", "192.0.2.1:4711"},
		{strings.Repeat("x", handshake.MaxHead), "head_too_large", "192.0.2.1:4711"},
		{"GET /ws?token=secret-token", "handshake_timeout", "192.0.2.1:4711"},
	} {
		client, bytes := r.dial(), textHeader("192.0.2.1")+test.bytes
		if test.reason == "handshake_timeout" {
			r.sendApart(client, bytes)
			r.timeOut()
		} else {
			client.send(t, bytes)
		}
		client.status(t)
		if line := log.find("refused"); line["reason"] != test.reason || line["remote"] != test.remote || line["proxy"] != client.LocalAddr().String() {
			t.Errorf("%s: %v", test.reason, line)
		}
	}
	client := r.dial()
	client.send(t, healthRequest)
	client.status(t)
	line := log.find("a client was refused")
	if line["level"] != "WARN" || line["reason"] != "proxy_header_missing" || line["remote"] != client.LocalAddr().String() {
		t.Errorf("the warning is %v", line)
	}
	begun := time.Now()
	for range 20 {
		r.wants(http.StatusBadRequest, healthRequest)
	}
	if n := strings.Count(log.String(), "a client was refused"); n > 10+3*int(time.Since(begun)/(10*time.Second)) {
		t.Errorf("%d warnings", n)
	}
	if strings.Contains(log.String(), "secret-token") {
		t.Error("a token is in the log")
	}
}
