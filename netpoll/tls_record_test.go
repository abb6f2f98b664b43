package netpoll

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"roost/netpoll/internal/tlsrecord"
)

// recordClient is a client of TLS 1.3 that does what crypto/tls's does not: it has the record layer in its hands.
type recordClient struct {
	t      testing.TB
	tcp    net.Conn
	record *tlsrecord.Conn
	cache  *tlsrecord.Cache
	rest   []byte
	plain  bytes.Buffer
}

// keyLog takes the secrets that a client writes for debugging.
type keyLog map[string][]byte

func (k keyLog) Write(line []byte) (int, error) {
	fields := strings.Fields(string(line))
	secret, err := hex.DecodeString(fields[2])
	k[fields[0]] = secret
	return len(line), err
}

// recordClient opens a WebSocket, and takes the record layer from crypto/tls before anything else is sent.
func (r *rig) recordClient(user string) *recordClient {
	r.t.Helper()
	c := r.recordClientHandshake()
	c.send(upgradeRequest(r.t, user))
	(&raw{c.tcp, bufio.NewReader(c)}).answered(r.t, http.StatusSwitchingProtocols)
	return c
}

// recordClientHandshake is recordClient without the request.
func (r *rig) recordClientHandshake() *recordClient {
	r.t.Helper()
	secrets := keyLog{}
	_, conn := r.dialTLS("", &tls.Config{MinVersion: tls.VersionTLS13, KeyLogWriter: secrets})
	if err := conn.Handshake(); err != nil { // without a session cache there are no tickets
		r.t.Fatal(err)
	}
	record, err := tlsrecord.New(conn.ConnectionState().CipherSuite, secrets["SERVER_TRAFFIC_SECRET_0"], secrets["CLIENT_TRAFFIC_SECRET_0"])
	if err != nil {
		r.t.Fatal(err)
	}
	return &recordClient{t: r.t, tcp: conn.NetConn(), record: record, cache: tlsrecord.NewCache(1)}
}

func (c *recordClient) seal(text string) []byte {
	sealed, err := c.record.Seal(nil, []byte(text), c.cache)
	if err != nil {
		c.t.Fatal(err)
	}
	return sealed
}

func (c *recordClient) write(b []byte) {
	c.t.Helper()
	if _, err := c.tcp.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

func (c *recordClient) send(text string) { c.t.Helper(); c.write(c.seal(text)) }

// Read returns what was decrypted, and reads as much as there is at once.
func (c *recordClient) Read(p []byte) (int, error) {
	for c.plain.Len() == 0 {
		b := make([]byte, 32<<10)
		n, err := c.tcp.Read(b)
		if err != nil {
			return 0, err
		}
		plain, rest, err := c.record.Open(append(c.rest, b[:n]...), c.cache)
		if err != nil {
			return 0, err
		}
		c.plain.Write(plain)
		c.rest = bytes.Clone(rest)
	}
	return c.plain.Read(p)
}

func (c *recordClient) frames() *raw { return &raw{c.tcp, bufio.NewReader(c)} }

// Both sides change their keys in the middle of traffic, one after the other and at once.
func TestKeyUpdatesInTraffic(t *testing.T) {
	t.Parallel()
	r := startTLS(t, TLSOptions{}, nil)
	client := r.recordClient("alice")
	frames := client.frames()
	for i := range 12 {
		update, err := client.record.SealKeyUpdate(nil, i%2 == 0, client.cache)
		if err != nil {
			t.Fatal(err)
		}
		// The update comes before, behind and in the middle of a frame.
		frame := masked(0x89, "ping")
		client.write(append(update, client.seal(string(frame[:i%len(frame)]))...))
		client.send(string(frame[i%len(frame):]))
		r.deliver("alice", `{"type":"n"}`)
		pongs, texts := 0, 0
		for range 2 {
			switch opcode, _ := frames.readFrame(t); opcode {
			case 0x8a:
				pongs++
			case 0x81:
				texts++
			}
		}
		if pongs != 1 || texts != 1 {
			t.Fatalf("%d pongs and %d notifications", pongs, texts)
		}
	}
	r.balanced()
}

// A client that asks for a KeyUpdate while it takes nothing gets it in its place, when it reads on.
func TestKeyUpdateWhileStalled(t *testing.T) {
	t.Parallel()
	r := startTLS(t, TLSOptions{}, nil)
	client := r.recordClient("alice")
	_ = client.tcp.(*net.TCPConn).SetReadBuffer(16 << 10)
	payload := `{"type":"n","payload":"` + strings.Repeat("x", 10_000) + `"}`
	sent := 0
	for ; r.server.Stats().Stalled == 0; sent++ {
		r.deliverThrough("alice", payload)
	}
	update, err := client.record.SealKeyUpdate(nil, true, client.cache)
	if err != nil {
		t.Fatal(err)
	}
	client.write(update)
	client.send(string(masked(0x89, "ping")))
	frames := client.frames()
	pongs := 0
	for texts := 0; texts < sent || pongs == 0; {
		switch opcode, _ := frames.readFrame(t); opcode {
		case 0x81:
			texts++
		case 0x8a:
			pongs++
		}
	}
	r.balanced()
}

// Broken records end the connection with the alert that the RFC names, behind all that was right.
func TestBrokenRecords(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		send  func(c *recordClient) []byte
		alert tlsrecord.Alert
	}{
		"tampered": {func(c *recordClient) []byte {
			b := c.seal(string(masked(0x89, "ping")))
			b[len(b)-1] ^= 1
			return b
		}, tlsrecord.AlertBadRecordMAC},
		"replayed": {func(c *recordClient) []byte {
			b := c.seal(string(masked(0x89, "again")))
			return append(b, b...)
		}, tlsrecord.AlertBadRecordMAC},
		"in the clear": {func(*recordClient) []byte { return masked(0x89, "ping") }, tlsrecord.AlertUnexpectedMessage},
		"too long":     {func(*recordClient) []byte { return []byte{23, 3, 3, 0xff, 0xff} }, tlsrecord.AlertRecordOverflow},
		"renegotiation": {func(*recordClient) []byte { // RFC 8446 section 4.1.2: a ClientHello after the handshake
			return helloBytes(t, &tls.Config{})
		}, tlsrecord.AlertUnexpectedMessage},
	} {
		t.Run(name, func(t *testing.T) {
			r := startTLS(t, TLSOptions{}, nil)
			client := r.recordClient("alice")
			frames := client.frames()
			client.send(string(masked(0x89, "good")))
			if opcode, payload := frames.readFrame(t); opcode != 0x8a || string(payload) != "good" {
				t.Fatalf("%x %q", opcode, payload)
			}
			client.write(test.send(client))
			_, err := io.Copy(io.Discard, client)
			var alert *tlsrecord.Error
			if !errors.As(err, &alert) || !alert.Remote || alert.Alert != test.alert {
				t.Errorf("the client is told %v", err)
			}
			eventually(t, "it has ended", func() bool { return r.server.Stats().Ended["tls_error"] == 1 })
			if n := r.server.Stats().TLSFailures[TLSFailure{test.alert.String(), "server"}]; n != 1 {
				t.Errorf("counted are %v", r.server.Stats().TLSFailures)
			}
		})
	}
}

// A client of TLS 1.2 that renegotiates, or breaks a record, is ended by crypto/tls.
func TestBrokenRecordOfOldClient(t *testing.T) {
	t.Parallel()
	r := startTLS(t, TLSOptions{}, nil)
	client, conn := r.upgradeTLS("alice", &tls.Config{MaxVersion: tls.VersionTLS12})
	_, _ = conn.NetConn().Write(append([]byte{23, 3, 3, 0, 40}, make([]byte, 40)...))
	if _, err := client.r.ReadByte(); err == nil || !strings.Contains(err.Error(), "bad record MAC") {
		t.Errorf("the client is told %v", err)
	}
	eventually(t, "it has ended", func() bool { return r.server.Stats().Ended["tls_error"] == 1 })
	if n := r.server.Stats().TLSFailures[TLSFailure{"bad_record_mac", "server"}]; n != 1 {
		t.Errorf("counted are %v", r.server.Stats().TLSFailures)
	}
}

// Records that stay incomplete are bounded in memory: those that have waited longest pay, and nobody else.
func TestIncompleteRecordsAreBounded(t *testing.T) {
	t.Parallel()
	const total = 256 << 10
	r := startTLS(t, TLSOptions{}, func(c *Config) { c.PendingTotal, c.Loops = total, 1 })
	honest := r.recordClient("honest")
	frames := honest.frames()
	record := make([]byte, 16<<10)
	copy(record, []byte{23, 3, 3, 0x40, 0x10})
	most := 0
	for i := range 40 {
		if i%2 == 0 {
			r.recordClient("greedy").write(record)
		} else {
			_, old := r.upgradeTLS("greedy", &tls.Config{MaxVersion: tls.VersionTLS12})
			_, _ = old.NetConn().Write(record)
		}
		most = max(most, r.server.Stats().RecordBytes)
		b := honest.seal(string(masked(0x89, "ping")))
		honest.write(b[:10])
		honest.write(b[10:])
		if opcode, _ := frames.readFrame(t); opcode != 0x8a {
			t.Fatalf("got %x", opcode)
		}
	}
	eventually(t, "the oldest are closed", func() bool { s := r.server.Stats(); return s.Ended["message_timeout"] > 0 && s.RecordBytes <= total })
	if most == 0 || most > total+32<<10 {
		t.Errorf("%d bytes were kept, of %d", most, total)
	}
	// Those that are left complete what they have begun, or go: nothing is kept for them.
	r.server.Drain(t.Context(), GoingAway(), time.Millisecond)
	eventually(t, "nothing is kept", func() bool { return r.server.Stats().RecordBytes == 0 })
}

// A client that stopped reading in the middle of a record and goes on gets each byte, once and in order.
func TestStalledReaderGoesOn(t *testing.T) {
	t.Parallel()
	for _, version := range []uint16{tls.VersionTLS13, tls.VersionTLS12} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			t.Parallel()
			r := startTLS(t, TLSOptions{}, nil)
			client, conn := r.upgradeTLS("alice", &tls.Config{MaxVersion: version})
			_ = conn.NetConn().(*net.TCPConn).SetReadBuffer(128 << 10)
			payload := func(i int) string {
				return `{"type":"n","payload":"` + strings.Repeat(string(rune('a'+i%26)), 1+i*997%40_000) + `"}`
			}
			next := 0
			for round := range 4 {
				until := next + 150
				for i := next; i < until; i++ {
					r.deliver("alice", payload(i))
				}
				if round%2 == 0 {
					client.send(t, string(masked(0x89, "ping")))
				}
				for next < until {
					opcode, got := client.readFrame(t)
					if opcode != 0x81 {
						continue
					}
					if want := payload(next); !bytes.Contains(got, []byte(want[strings.LastIndexByte(want, 58):len(want)-1])) {
						t.Fatalf("notification %d has %d bytes", next, len(got))
					}
					next++
				}
			}
			eventually(t, "all is counted as sent", func() bool {
				s := r.server.Stats()
				return s.Stalled == 0 && s.QueuedBytes == 0 && s.Sent == uint64(next)
			})
			r.balanced()
		})
	}
}

// A record whose beginning came before the server closed the connection is put together with its rest: the client ends
// the connection in order, and nobody counts an alert.
func TestRecordAcrossClose(t *testing.T) {
	t.Parallel()
	for at := range 3 {
		r := startTLS(t, TLSOptions{}, func(c *Config) { c.LingerTimeout = time.Minute })
		client := r.recordClient("alice")
		ping := client.seal(string(masked(0x89, "half")))
		client.write(ping[:[]int{1, 5, len(ping) - 1}[at]])
		eventually(t, "its beginning is there", func() bool { return r.server.Stats().RecordBytes > 0 })
		r.server.Drain(t.Context(), GoingAway(), time.Millisecond)
		frames := client.frames()
		if opcode, _ := frames.readFrame(t); opcode != 0x88 {
			t.Fatalf("got %x, want a close frame", opcode)
		}
		client.write(ping[[]int{1, 5, len(ping) - 1}[at]:])
		client.send(string(masked(0x88, "\x03\xe9")))
		if _, err := frames.r.ReadByte(); !errors.Is(err, tlsrecord.ErrCloseNotify) {
			t.Errorf("the stream ends with %v", err)
		}
		_ = client.tcp.Close()
		eventually(t, "nothing is kept", func() bool { s := r.server.Stats(); return s.RecordBytes == 0 && s.Lingering == 0 })
		if n := r.server.Stats().TLSFailures; len(n) > 0 {
			t.Errorf("counted are %v", n)
		}
	}
}

// A record whose beginning came while the request waited for its subscription is put together with its rest after the 101.
func TestRecordAcrossAdmission(t *testing.T) {
	t.Parallel()
	a := newSubscriptions(nil)
	r := startTLS(t, TLSOptions{}, func(c *Config) { c.Subscriptions, c.SubscribeWait = a, time.Minute })
	client := r.recordClientHandshake()
	client.send(upgradeRequest(t, "alice"))
	r.awaitingIs(1)
	early, late := client.seal(string(masked(0x89, "early"))), client.seal(string(masked(0x89, "late")))
	for _, part := range [][]byte{early, late[:10]} {
		before := r.server.Stats().PendingBytes
		client.write(part)
		eventually(t, "it is kept", func() bool { return r.server.Stats().PendingBytes > before })
	}
	a.heard("alice")
	frames := client.frames()
	frames.answered(t, http.StatusSwitchingProtocols)
	if opcode, payload := frames.readFrame(t); opcode != 0x8a || string(payload) != "early" {
		t.Fatalf("%x %q", opcode, payload)
	}
	if n := r.server.Stats().RecordBytes; n == 0 {
		t.Error("the record is not counted")
	}
	client.write(late[10:])
	if opcode, payload := frames.readFrame(t); opcode != 0x8a || string(payload) != "late" {
		t.Fatalf("%x %q", opcode, payload)
	}
	eventually(t, "nothing is kept", func() bool { return r.server.Stats().RecordBytes == 0 })
	_ = client.tcp.Close()
	a.balanced(t)
}
