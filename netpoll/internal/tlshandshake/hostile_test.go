package tlshandshake

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"roost/netpoll/internal/tlsrecord"
)

func zeros(n int) []byte { return make([]byte, n) }

// Other bytes in place of a ClientHello, whole and byte by byte.
func TestFirstBytes(t *testing.T) {
	s := testServer(t, Options{})
	_, hello := helloOf(t, &tls.Config{})
	record := func(typ byte, content []byte) []byte {
		return append([]byte{typ, 3, 1, byte(len(content) >> 8), byte(len(content))}, content...)
	}
	message := func(typ byte, n int) []byte {
		return append([]byte{typ, byte(n >> 16), byte(n >> 8), byte(n)}, zeros(n)...)
	}
	tiny := func(n int) (b []byte) {
		for range n {
			b = append(b, record(22, []byte{1})...)
		}
		return b
	}
	for _, test := range []struct {
		name string
		in   []byte
		want error
		text string
	}{
		{"HTTP", []byte("GET /ws HTTP/1.1\r\nHost: x\r\n\r\n"), ErrHTTP, ""},
		{"HTTP by another method", []byte("OPTIONS * HTTP/1.1\r\n"), ErrHTTP, ""},
		{"SSH", []byte("ssh-2.0-x\r\n"), ErrNotTLS, ""},
		{"PROXY of version 2", []byte("\r\n\r\n\x00\r\nQUIT\n"), ErrNotTLS, ""},
		{"SSL 2", append([]byte{0x80, 0x2e, 1, 3, 1}, zeros(41)...), ErrNotTLS, ""},
		{"a version of the future", []byte{22, 16, 0, 0, 9}, ErrNotTLS, ""},
		{"data", record(23, zeros(40)), ErrNotTLS, ""},
		{"an alert", record(21, []byte{2, 80}), ErrNotTLS, ""},
		{"an empty record", record(22, nil), nil, "unexpected_message"},
		{"a record that is too long", append([]byte{22, 3, 1, 0x40, 1}, zeros(100)...), nil, "record_overflow"},
		{"another message", record(22, message(2, 50)), nil, "unexpected_message"},
		{"a hello that is too long", record(22, message(1, maxHello-3)[:200]), nil, "illegal_parameter"},
		{"a hello of 16 MB", record(22, []byte{1, 255, 255, 255}), nil, "illegal_parameter"},
		{"a hello in too many records", append(record(22, message(1, maxHello-4)[:4]), tiny(maxHello)...), nil, "illegal_parameter"},
		{"a hello and data between its parts", append(record(22, message(1, 100)[:50]), record(23, zeros(60))...), nil, "unexpected_message"},
		{"a hello of zeros", record(22, message(1, 300)), nil, "decode_error"},
		{"a hello that ends early", record(22, append([]byte{1, 0, 0, 60}, hello[9:69]...)), nil, "decode_error"},
	} {
		for _, bytewise := range []bool{false, true} {
			pieces := [][]byte{test.in}
			if bytewise {
				pieces = nil
				for i := range test.in {
					pieces = append(pieces, test.in[i:i+1])
				}
			}
			h := s.Start()
			status, err := feed(h, pieces...)
			var got *tlsrecord.Error
			errors.As(err, &got)
			out := h.Output()
			switch {
			case status != Done || err == nil:
				t.Errorf("%s: %v, %v", test.name, status, err)
			case test.want != nil && (err != test.want || out != nil):
				t.Errorf("%s: %v, %x, want %v", test.name, err, out, test.want)
			case test.want == nil && (got == nil || got.Alert.String() != test.text):
				t.Errorf("%s: %v, want %s", test.name, err, test.text)
			case test.want == nil && (len(out) != 7 || out[0] != typeAlert || tlsrecord.Alert(out[6]) != got.Alert):
				t.Errorf("%s: sent %x, want the alert %v", test.name, out, got.Alert)
			}
			if held := h.Held(); held > 300 {
				t.Errorf("%s: still holds %d bytes", test.name, held)
			}
			h.Close()
		}
	}
}

// A ClientHello may come in as many records as it has bytes.
func TestHelloInTinyRecords(t *testing.T) {
	s := testServer(t, Options{})
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		_, hello := helloOf(t, &tls.Config{MaxVersion: version})
		var in []byte
		for _, b := range hello[headerLen:] {
			in = append(in, 22, 3, 1, 0, 1, b)
		}
		h := s.Start()
		if status, err := feed(h, in[:100], in[100:]); status != NeedInput || err != nil || len(h.Output()) < 300 {
			t.Errorf("%v, %v", status, err)
		}
		h.Close()
	}
}

// second is a light handshake before the client's last flight, with what a client can do there.
type second struct {
	h      *Handshake
	keys   secrets // the client's copies
	suite  uint16
	finish []byte // what a real client sends: change_cipher_spec and Finished
}

func newSecond(t *testing.T, s *Server) *second {
	t.Helper()
	x := new(second)
	config := &tls.Config{KeyLogWriter: &x.keys}
	client, hello := helloOf(t, config)
	x.h = s.Start()
	t.Cleanup(x.h.Close)
	if status, err := feed(x.h, hello); status != NeedInput || err != nil {
		t.Fatal(status, err)
	}
	client.t.in = append(client.t.in, x.h.Output()...)
	client.next()
	x.finish = client.t.take()
	x.suite = client.conn.ConnectionState().CipherSuite
	if x.suite != tls.TLS_AES_128_GCM_SHA256 {
		t.Skip("no AES in hardware")
	}
	return x
}

// seal makes a record of any type with the client's key of that secret.
func (x *second) seal(t *testing.T, secret []byte, seq byte, typ byte, content []byte) []byte {
	t.Helper()
	key, err := tlsrecord.ExpandLabel(x.suite, secret, "key", 16)
	if err != nil {
		t.Fatal(err)
	}
	nonce, _ := tlsrecord.ExpandLabel(x.suite, secret, "iv", 12)
	block, _ := aes.NewCipher(key)
	aead, _ := cipher.NewGCM(block)
	nonce[11] ^= seq
	n := len(content) + 17
	header := []byte{23, 3, 3, byte(n >> 8), byte(n)}
	return append(header, aead.Seal(nil, nonce, append(bytes.Clone(content), typ), header)...)
}

// finished is the content of the client's Finished.
func (x *second) finished(t *testing.T) []byte {
	t.Helper()
	reader, err := tlsrecord.New(x.suite, x.keys.clientHandshake, x.keys.clientHandshake)
	if err != nil {
		t.Fatal(err)
	}
	record := bytes.Clone(x.finish[6:]) // after change_cipher_spec
	_, content, err := reader.OpenRecord(record, tlsrecord.NewCache(0))
	if err != nil || len(content) != 36 {
		t.Fatalf("the client's Finished: %x, %v", content, err)
	}
	return content
}

// Other bytes in place of a good Finished. Every bit of Finished is wrong once.
func TestLastFlight(t *testing.T) {
	s := testServer(t, Options{})
	ccs := []byte{20, 3, 3, 0, 1, 1}
	type content = func(*second, *testing.T) []byte
	sealed := func(seq, typ byte, b []byte) content {
		return func(x *second, t *testing.T) []byte { return x.seal(t, x.keys.clientHandshake, seq, typ, b) }
	}
	plain := func(b []byte) content { return func(*second, *testing.T) []byte { return b } }
	tests := []struct {
		name  string
		in    content
		alert string // empty: it is taken
	}{
		{"good", func(x *second, t *testing.T) []byte { return x.finish }, ""},
		{"no change_cipher_spec", func(x *second, t *testing.T) []byte { return x.finish[6:] }, ""},
		{"in three records", func(x *second, t *testing.T) []byte {
			f := x.finished(t)
			in := append(x.seal(t, x.keys.clientHandshake, 0, 22, f[:1]), x.seal(t, x.keys.clientHandshake, 1, 22, f[1:35])...)
			return append(in, x.seal(t, x.keys.clientHandshake, 2, 22, f[35:])...)
		}, ""},
		{"change_cipher_spec between its parts", func(x *second, t *testing.T) []byte {
			f := x.finished(t)
			return append(x.seal(t, x.keys.clientHandshake, 0, 22, f[:1]), ccs...)
		}, "unexpected_message"},
		{"more in its record", func(x *second, t *testing.T) []byte {
			return x.seal(t, x.keys.clientHandshake, 0, 22, append(x.finished(t), 24, 0, 0, 1, 0))
		}, "unexpected_message"},
		{"cut", func(x *second, t *testing.T) []byte {
			f := x.finished(t)
			return append(x.seal(t, x.keys.clientHandshake, 0, 22, f[:35]), x.seal(t, x.keys.clientHandshake, 1, 23, f[35:])...)
		}, "unexpected_message"},
		{"zeros", sealed(0, 22, append([]byte{20, 0, 0, 32}, zeros(32)...)), "decrypt_error"},
		{"the wrong length", sealed(0, 22, append([]byte{20, 0, 0, 31}, zeros(32)...)), "decrypt_error"},
		{"the server's own Finished reflected", func(x *second, t *testing.T) []byte {
			return x.seal(t, x.keys.serverHandshake, 0, 22, x.finished(t))
		}, "bad_record_mac"},
		{"a record number that is too high", func(x *second, t *testing.T) []byte {
			return x.seal(t, x.keys.clientHandshake, 1, 22, x.finished(t))
		}, "bad_record_mac"},
		{"under the application key", func(x *second, t *testing.T) []byte { return x.seal(t, x.keys.client, 0, 22, x.finished(t)) }, "bad_record_mac"},
		{"data before it", func(x *second, t *testing.T) []byte { return x.seal(t, x.keys.client, 0, 23, []byte("GET /")) }, "bad_record_mac"},
		{"data under its key", sealed(0, 23, []byte("GET /")), "unexpected_message"},
		{"a KeyUpdate", sealed(0, 22, []byte{24, 0, 0, 1, 0}), "unexpected_message"},
		{"an empty message", sealed(0, 22, nil), "unexpected_message"},
		{"padding", sealed(0, 0, zeros(9)), "unexpected_message"},
		{"an unprotected message", plain(append([]byte{22, 3, 3, 0, 36, 20, 0, 0, 32}, zeros(32)...)), "unexpected_message"},
		{"five change_cipher_spec", plain(bytes.Repeat(ccs, 5)), "unexpected_message"},
		{"change_cipher_spec with a 2", plain([]byte{20, 3, 3, 0, 1, 2}), "unexpected_message"},
		{"a long change_cipher_spec", plain([]byte{20, 3, 3, 0, 2, 1, 1}), "unexpected_message"},
		{"an alert of three bytes", plain([]byte{21, 3, 3, 0, 3, 2, 0, 0}), "decode_error"},
		{"a record that is too long", plain([]byte{23, 3, 3, 0x41, 1}), "record_overflow"},
		{"an alert", plain([]byte{21, 3, 3, 0, 2, 2, 48}), "remote unknown_ca"},
		{"an alert under its key", sealed(0, 21, []byte{2, 42}), "remote bad_certificate"},
	}
	for bit := range 32 * 8 {
		tests = append(tests, struct {
			name  string
			in    content
			alert string
		}{"a wrong bit", func(x *second, t *testing.T) []byte {
			f := bytes.Clone(x.finished(t))
			f[4+bit/8] ^= 1 << (bit % 8)
			return x.seal(t, x.keys.clientHandshake, 0, 22, f)
		}, "decrypt_error"})
	}
	for _, test := range tests {
		x := newSecond(t, s)
		status, err := feed(x.h, test.in(x, t))
		var got *tlsrecord.Error
		if test.alert == "" {
			if status != Done || err != nil || x.h.Result().Light == nil {
				t.Errorf("%s: %v, %v", test.name, status, err)
			}
			continue
		}
		name, remote := strings.CutPrefix(test.alert, "remote ")
		if status != Done || !errors.As(err, &got) || got.Alert.String() != name || got.Remote != remote || x.h.Result().Light != nil {
			t.Errorf("%s: %v, %v, want %s", test.name, status, err, test.alert)
			continue
		}
		if remote {
			continue
		}
		client, err := tlsrecord.New(x.suite, x.keys.server, x.keys.client)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := client.Open(x.h.Output(), tlsrecord.NewCache(0)); !errors.As(err, &got) || !got.Remote || got.Alert.String() != name {
			t.Errorf("%s: the client got %v, want %s", test.name, err, name)
		}
	}
}

// Bytes in one piece with the ClientHello are kept for later, up to a limit.
func TestBytesBehindTheHello(t *testing.T) {
	s := testServer(t, Options{})
	_, hello := helloOf(t, &tls.Config{})
	ccs := []byte{20, 3, 3, 0, 1, 1}
	h := s.Start()
	defer h.Close()
	if status, err := feed(h, append(bytes.Clone(hello), ccs...)); status != NeedInput || err != nil {
		t.Fatal(status, err)
	}
	// It counts: five are too many.
	_, err := feed(h, bytes.Repeat(ccs, maxIgnored-1))
	if err != nil {
		t.Fatal(err)
	}
	var got *tlsrecord.Error
	if _, err := feed(h, ccs); !errors.As(err, &got) || got.Alert != tlsrecord.AlertUnexpectedMessage {
		t.Errorf("%v: what came behind the hello was lost", err)
	}

	h = s.Start()
	defer h.Close()
	if status, err := h.Feed(hello); status != NeedRun || err != nil {
		t.Fatal(status, err)
	}
	if status, err := h.Feed(zeros(maxEarly / 2)); status != NeedRun || err != nil {
		t.Fatal(status, err)
	}
	_, err = h.Feed(zeros(maxEarly / 2))
	if !errors.As(err, &got) || got.Alert != tlsrecord.AlertUnexpectedMessage || h.Held() > 300 {
		t.Errorf("%v, and holds %d bytes", err, h.Held())
	}
}

// A second ClientHello that makes crypto/tls ask for something else than before is refused.
func TestAnotherHelloRetryRequest(t *testing.T) {
	s := testServer(t, Options{})
	s.change(func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.CurveP256} })
	client, hello := helloOf(t, &tls.Config{CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256}})
	h := s.Start()
	defer h.Close()
	if status, err := feed(h, hello); status != NeedInput || err != nil || h.retry == nil {
		t.Fatal(status, err)
	}
	client.t.in = h.Output()
	client.next()
	h.retry.sent[20] ^= 1
	var got *tlsrecord.Error
	if _, err := feed(h, client.t.take()); !errors.As(err, &got) || got.Alert != tlsrecord.AlertInternalError || !strings.Contains(got.Text, "another HelloRetryRequest") {
		t.Errorf("%v", err)
	}
}

// Handshakes of other goroutines go on while the certificates and keys are replaced.
func TestReplacingWhileHandshakesRun(t *testing.T) {
	s := testServer(t, Options{})
	before := s.config.Load()
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for range 20 {
				client := newMemoryClient(&tls.Config{InsecureSkipVerify: true})
				if _, err := client.connect(s); err != nil {
					t.Error(err)
				}
				client.stop()
			}
		})
	}
	for range 50 {
		s.SetCertificates([]tls.Certificate{before.Certificates[1]})
		s.SetTicketKeys([][32]byte{newTicketKey(), newTicketKey()})
	}
	clients.Wait()
	if len(before.Certificates) != 2 || before == s.config.Load() {
		t.Error("the configuration of handshakes under way was changed")
	}
}

// No byte of a hello can be changed on the way without the handshake failing: not that of a cipher suite, not that
// of a version, which would be a downgrade.
func TestTamperedHello(t *testing.T) {
	s := testServer(t, Options{})
	_, sample := helloOf(t, &tls.Config{})
	for i := range sample {
		client, hello := helloOf(t, &tls.Config{})
		if i < 5 && i != 0 || i >= len(hello) {
			continue // the record's header is not part of the transcript
		}
		hello[i] ^= 1
		h := s.Start()
		status, err := feed(h, hello)
		client.t.in = append(client.t.in, h.Output()...)
		for err == nil && status != Done {
			_, goesOn := client.next()
			sent := client.t.take()
			if len(sent) == 0 && goesOn {
				break
			}
			status, err = feed(h, sent)
			client.t.in = append(client.t.in, h.Output()...)
			if !goesOn {
				break
			}
		}
		if status == Done && err == nil {
			t.Errorf("byte %d of the hello was changed, and nobody noticed", i)
		}
		h.Close()
		client.stop()
	}
}

// TLS 1.2 after the handshake: bytes cut anywhere, and changed.
func TestHeavyCutAndTampered(t *testing.T) {
	s := testServer(t, Options{})
	connect := func() (*memoryClient, *Heavy) {
		client := newMemoryClient(&tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
		r, err := client.connect(s)
		if err != nil {
			t.Fatal(err)
		}
		return client, r.Heavy
	}
	client, heavy := connect()
	defer client.stop()
	text := strings.Repeat("text ", 5000)
	_, _ = io.WriteString(client.conn, text)
	var got []byte
	for _, b := range client.t.take() {
		var err error
		if got, err = heavy.Open(got, []byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	if string(got) != text {
		t.Errorf("%d bytes came of %d", len(got), len(text))
	}
	_, _ = io.WriteString(client.conn, "changed")
	sent := client.t.take()
	sent[len(sent)-1] ^= 1
	plain, err := heavy.Open(nil, sent)
	var alert *tlsrecord.Error
	if len(plain) > 0 || !errors.As(err, &alert) || alert.Alert != tlsrecord.AlertBadRecordMAC {
		t.Errorf("%q, %v", plain, err)
	}
	client.t.in = heavy.Output()
	if _, err := client.conn.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "bad record MAC") {
		t.Errorf("the client heard %v", err)
	}
	heavy.Wipe()
	if _, err := heavy.Seal(nil, []byte("x")); err != tlsrecord.ErrClosed {
		t.Errorf("sealed after Wipe: %v", err)
	}
	if plain, err := heavy.Open(nil, sent); len(plain) > 0 || err != nil || heavy.Output() != nil || heavy.CloseNotify(nil) != nil {
		t.Error("something comes after Wipe")
	}
}

// FuzzHandshake feeds anything, in two pieces, first or in place of the last flight: it never panics, and never comes to an end that is good.
func FuzzHandshake(f *testing.F) {
	certificate := certificate(f, "one.test")
	s := testServer(f, Options{Certificates: []tls.Certificate{certificate}})
	client := newMemoryClient(&tls.Config{InsecureSkipVerify: true})
	client.next()
	hello := bytes.Clone(client.t.take())
	client.stop()
	f.Add(hello, uint16(7), false)
	f.Add([]byte("\x14\x03\x03\x00\x01\x01\x17\x03\x03\x00\x20aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), uint16(3), true)
	f.Add([]byte("\x16\x03\x01\x00\x04\x01\x00\x00\x00"), uint16(5), false)
	f.Fuzz(func(t *testing.T, in []byte, cut uint16, last bool) {
		h := s.Start()
		defer h.Close()
		if last {
			if status, err := feed(h, hello); status != NeedInput || err != nil {
				t.Fatal(status, err)
			}
			h.Output()
		}
		at := min(int(cut), len(in))
		if status, err := feed(h, in[:at], in[at:]); status == Done && err == nil {
			t.Fatal("a handshake with nobody is done")
		}
		if held := h.Held(); held > 200_000 {
			t.Fatalf("holds %d bytes", held)
		}
	})
}

// The part of an incomplete message that crypto/tls keeps is counted, and is bounded after the handshake.
func TestMessagesThatDoNotEnd(t *testing.T) {
	s := testServer(t, Options{})
	_, hello := helloOf(t, &tls.Config{MaxVersion: tls.VersionTLS12})
	h := s.Start()
	defer h.Close()
	if status, err := feed(h, hello); status != NeedInput || err != nil {
		t.Fatal(status, err)
	}
	before := h.Held()
	const message = 60_000
	part := append([]byte{typeHandshake, 3, 3, 10_000 >> 8, 10_000 & 0xff}, zeros(10_000)...)
	copy(part[headerLen:], []byte{16, 0, message >> 8, message & 0xff}) // ClientKeyExchange
	for range message / 10_000 {
		if status, err := feed(h, part); status != NeedInput || err != nil {
			t.Fatal(status, err)
		}
		clear(part[headerLen:])
	}
	if held := h.Held() - before; held < message {
		t.Errorf("%d bytes count of %d", held, message)
	}

	for _, test := range []struct {
		bytes, piece int
		want         tlsrecord.Alert
	}{
		{200, 205, tlsrecord.AlertBadRecordMAC}, {200, 1, tlsrecord.AlertBadRecordMAC},
		{maxAgain, headerLen + maxAgain, tlsrecord.AlertUnexpectedMessage}, {16_000, 1000, tlsrecord.AlertUnexpectedMessage},
	} {
		client := newMemoryClient(&tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
		defer client.stop()
		r, err := client.connect(s)
		if err != nil {
			t.Fatal(err)
		}
		n, given := test.bytes, 0
		for piece := range slices.Chunk(append([]byte{typeHandshake, 3, 3, byte(n >> 8), byte(n)}, zeros(n)...), test.piece) {
			if _, err = r.Heavy.Open(nil, piece); err != nil {
				break
			}
			given += len(piece)
		}
		var alert *tlsrecord.Error
		if !errors.As(err, &alert) || alert.Alert != test.want {
			t.Errorf("a handshake record of %d bytes after the handshake, %d at a time: %v, want %v", n, test.piece, err, test.want)
		}
		if given > maxAgain {
			t.Errorf("takes %d bytes of a handshake after the handshake", given)
		}
		if held := r.Heavy.Held(); held < heavyBytes+min(n, test.piece) {
			t.Errorf("%d bytes count of a connection", held)
		}
	}
}

// Pieces that begin in the middle of a record of data are not taken for records of a handshake, whatever they begin with.
func TestLongMessagesInPieces(t *testing.T) {
	t.Parallel()
	client := newMemoryClient(&tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
	defer client.stop()
	r, err := client.connect(testServer(t, Options{}))
	if err != nil {
		t.Fatal(err)
	}
	message := make([]byte, 4<<20)
	if _, err := client.conn.Write(message); err != nil {
		t.Fatal(err)
	}
	got := 0
	for rest := client.t.take(); len(rest) > 0; {
		piece := rest[:min(len(rest), 1+rand.IntN(20_000))]
		rest = rest[len(piece):]
		plain, err := r.Heavy.Open(nil, piece)
		if got += len(plain); err != nil {
			t.Fatalf("after %d bytes: %v", got, err)
		}
	}
	if got != len(message) {
		t.Errorf("%d bytes came of %d", got, len(message))
	}
}
