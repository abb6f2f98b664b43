package tlsrecord

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// raw seals a record of any type and content, which Seal does not.
func raw(t testing.TB, c *Conn, typ byte, content []byte, cache *Cache) []byte {
	t.Helper()
	b, err := c.sealRecord(nil, typ, content, cache)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func handshakeKeyUpdate(request byte) []byte { return []byte{messageKeyUpdate, 0, 0, 1, request} }

func updateKey(t testing.TB, c *Conn) {
	t.Helper()
	if err := c.nextSecret(writing); err != nil {
		t.Fatal(err)
	}
}

// Every fault has the alert that RFC 8446 names for it, and nothing of the faulty record is handed out.
func TestWhatIsRefused(t *testing.T) {
	cache := NewCache(4)
	zeros := func(n int) []byte { return make([]byte, n) }
	header := func(typ byte, n int) []byte {
		return append([]byte{typ, 3, 3, byte(n >> 8), byte(n)}, zeros(min(n, 64))...)
	}
	sealed := func(typ byte, content []byte) func(*Conn) []byte {
		return func(peer *Conn) []byte { return raw(t, peer, typ, content, cache) }
	}
	several := func(records ...func(*Conn) []byte) func(*Conn) []byte {
		return func(peer *Conn) (b []byte) {
			for _, r := range records {
				b = append(b, r(peer)...)
			}
			return b
		}
	}
	bytesOf := func(b []byte) func(*Conn) []byte { return func(*Conn) []byte { return b } }
	repeat := func(n int, r func(*Conn) []byte) func(*Conn) []byte {
		return several(slicesRepeat(r, n)...)
	}
	update := func(request byte) func(*Conn) []byte {
		return func(peer *Conn) []byte {
			b := raw(t, peer, typeHandshake, handshakeKeyUpdate(request), cache)
			updateKey(t, peer)
			return b
		}
	}
	for _, test := range []struct {
		name  string
		in    func(*Conn) []byte
		alert Alert
		text  string
	}{
		{"change_cipher_spec after the handshake", bytesOf([]byte{20, 3, 3, 0, 1, 1}), AlertUnexpectedMessage, "type 20"},
		{"an alert in the clear", bytesOf([]byte{21, 3, 3, 0, 2, 1, 0}), AlertUnexpectedMessage, "type 21"},
		{"a handshake message in the clear", bytesOf(header(22, 40)), AlertUnexpectedMessage, "type 22"},
		{"a type there is not", bytesOf([]byte{99}), AlertUnexpectedMessage, "type 99"},
		{"HTTP", bytesOf([]byte("GET / HTTP/1.1\r\n")), AlertUnexpectedMessage, "type 71"},
		{"a header of 2^14+257", bytesOf(header(23, maxRecord+1)), AlertRecordOverflow, "16641"},
		{"a header of 65,535", bytesOf(header(23, 65535)), AlertRecordOverflow, "65535"},
		{"an empty record", bytesOf(header(23, 0)), AlertBadRecordMAC, "decrypted"},
		{"a record shorter than its tag", bytesOf(header(23, 15)), AlertBadRecordMAC, "decrypted"},
		{"what was never sealed", bytesOf(header(23, 64)), AlertBadRecordMAC, "decrypted"},
		{"2^14+1 bytes of content", sealed(typeApplicationData, zerosOf(1, maxPlaintext+1)), AlertRecordOverflow, "16386"},
		{"2^14+239 bytes of content and padding", sealed(0, zerosOf(1, maxRecord-tagLen-1)), AlertRecordOverflow, "16624"},
		{"padding alone", sealed(0, zeros(100)), AlertUnexpectedMessage, "padding alone"},
		{"one zero", sealed(0, nil), AlertUnexpectedMessage, "padding alone"},
		{"a protected change_cipher_spec", sealed(typeChangeCipherSpec, []byte{1}), AlertUnexpectedMessage, "type 20"},
		{"a protected type there is not", sealed(24, []byte("heartbeat")), AlertUnexpectedMessage, "type 24"},
		{"an empty alert", sealed(typeAlert, nil), AlertUnexpectedMessage, "empty alert"},
		{"half an alert", sealed(typeAlert, []byte{2}), AlertDecodeError, "1 bytes"},
		{"two alerts in one", sealed(typeAlert, []byte{1, 0, 1, 0}), AlertDecodeError, "4 bytes"},
		{"an empty handshake record", sealed(typeHandshake, nil), AlertUnexpectedMessage, "empty handshake"},
		{"a ClientHello again", sealed(typeHandshake, []byte{1, 0, 0, 4, 3, 3, 0, 0}), AlertUnexpectedMessage, "type 1 "},
		{"a NewSessionTicket from a client", sealed(typeHandshake, append([]byte{4, 0, 0, 40}, zeros(40)...)), AlertUnexpectedMessage, "type 4 "},
		{"EndOfEarlyData", sealed(typeHandshake, []byte{5, 0, 0, 0}), AlertUnexpectedMessage, "type 5 "},
		{"a certificate nobody asked for", sealed(typeHandshake, []byte{11, 0, 0, 4, 0, 0, 0, 0}), AlertUnexpectedMessage, "type 11 "},
		{"Finished again", sealed(typeHandshake, append([]byte{20, 0, 0, 32}, zeros(32)...)), AlertUnexpectedMessage, "type 20 "},
		{"an unknown handshake message", sealed(typeHandshake, []byte{77, 0, 0, 0}), AlertUnexpectedMessage, "type 77 "},
		{"a KeyUpdate that is too long", sealed(typeHandshake, []byte{24, 0, 0, 2, 0, 0}), AlertDecodeError, "wrong length"},
		{"a KeyUpdate that is empty", sealed(typeHandshake, []byte{24, 0, 0, 0}), AlertDecodeError, "wrong length"},
		{"a KeyUpdate that asks for 2", sealed(typeHandshake, handshakeKeyUpdate(2)), AlertIllegalParameter, "asks for 2"},
		{"a message after a KeyUpdate in its record", sealed(typeHandshake, append(handshakeKeyUpdate(0), handshakeKeyUpdate(0)...)), AlertUnexpectedMessage, "under its old key"},
		{"data between the parts of a KeyUpdate", several(sealed(typeHandshake, []byte{24, 0}), sealed(typeApplicationData, []byte("secret"))), AlertUnexpectedMessage, "between two parts"},
		{"close_notify between the parts of a KeyUpdate", several(sealed(typeHandshake, []byte{24, 0}), sealed(typeAlert, []byte{1, 0})), AlertUnexpectedMessage, "between two parts"},
		{"an empty record between the parts of a KeyUpdate", several(sealed(typeHandshake, []byte{24, 0}), sealed(typeApplicationData, nil)), AlertUnexpectedMessage, "between two parts"},
		{"the old key after a KeyUpdate", several(sealed(typeHandshake, handshakeKeyUpdate(0)), sealed(typeApplicationData, []byte("secret"))), AlertBadRecordMAC, "decrypted"},
		{"empty records without end", repeat(maxIdle+1, sealed(typeApplicationData, nil)), AlertUnexpectedMessage, "without data"},
		{"user_canceled without end", repeat(maxIdle+1, sealed(typeAlert, []byte{1, 90})), AlertUnexpectedMessage, "without data"},
		{"KeyUpdates without end", repeat(maxCredit+1, update(0)), AlertUnexpectedMessage, "too many KeyUpdates"},
		{"KeyUpdates with one byte each between them", repeat(2*maxCredit, several(update(1), sealed(typeApplicationData, []byte{0}))), AlertUnexpectedMessage, "too many KeyUpdates"},
	} {
		for _, s := range allSuites {
			t.Run(test.name+"/"+s.String(), func(t *testing.T) {
				c, peer := twins(t, s)
				b, _, err := c.Open(append(seal(t, peer, []byte("good"), cache), test.in(peer)...), cache)
				var got *Error
				if !errors.As(err, &got) || got.Alert != test.alert || got.Remote || !strings.Contains(got.Text, test.text) {
					t.Errorf("%v, want %v about %q", err, test.alert, test.text)
				}
				if !bytes.HasPrefix(b, []byte("good")) || bytes.Contains(b, []byte("secret")) {
					t.Errorf("handed out %q", b)
				}
				if b, rest, err := c.Open(seal(t, peer, []byte("more"), cache), cache); len(b)+len(rest) > 0 || err != nil {
					t.Errorf("went on after the error: %q %v", b, err)
				}
				alert := c.SealAlert(nil, got.Alert, cache)
				if _, _, err := peer.Open(alert, cache); !errors.As(err, &got) || !got.Remote || got.Alert != test.alert {
					t.Errorf("the other side got %v, want the alert", err)
				}
			})
		}
	}
}

func zerosOf(b byte, n int) []byte { return bytes.Repeat([]byte{b}, n) }

func slicesRepeat(r func(*Conn) []byte, n int) (all []func(*Conn) []byte) {
	for range n {
		all = append(all, r)
	}
	return all
}

// Odd records that are allowed.
func TestWhatIsTaken(t *testing.T) {
	cache := NewCache(4)
	for _, s := range allSuites {
		c, peer := twins(t, s)
		var in []byte
		in = append(in, raw(t, peer, typeApplicationData, zerosOf('a', maxPlaintext), cache)...)
		in = append(in, raw(t, peer, 0, append([]byte{'b', typeApplicationData}, make([]byte, maxPlaintext-2)...), cache)...) // padded to the limit
		in = append(in, raw(t, peer, 0, append([]byte{'c', 0, 0, typeApplicationData}, make([]byte, 3)...), cache)...)        // data that ends in zeros
		for range maxIdle {
			in = append(in, raw(t, peer, typeApplicationData, nil, cache)...)
		}
		in = append(in, raw(t, peer, typeApplicationData, []byte("d"), cache)...)
		in = append(in, raw(t, peer, typeAlert, []byte{1, byte(AlertUserCanceled)}, cache)...)
		for _, piece := range [][]byte{{24}, {0, 0}, {1}, {0}} { // a KeyUpdate in four records
			in = append(in, raw(t, peer, typeHandshake, piece, cache)...)
		}
		updateKey(t, peer)
		in = append(in, raw(t, peer, typeApplicationData, []byte("e"), cache)...)
		want := string(zerosOf('a', maxPlaintext)) + "bc\x00\x00de"
		if b, rest, err := c.Open(in, cache); string(b) != want || len(rest) != 0 || err != nil {
			t.Errorf("%v: opened %d bytes, want %d; %d left; %v", s, len(b), len(want), len(rest), err)
		}
	}
}

// A client that uses the KeyUpdates it is allowed is never refused: one for every
// creditPer records, for ever.
func TestKeyUpdatesAreEarned(t *testing.T) {
	c, peer := twins(t, aes128gcm)
	cache := NewCache(2)
	for round := range 200 {
		var in []byte
		for range creditPer {
			in = append(in, seal(t, peer, []byte("x"), cache)...)
		}
		in = append(in, raw(t, peer, typeHandshake, handshakeKeyUpdate(1), cache)...)
		updateKey(t, peer)
		if _, _, err := c.Open(in, cache); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
	// 200 requests before this side said anything get one answer.
	answer := seal(t, c, nil, cache)
	if n := headerLen + 5 + 1 + tagLen; len(answer) != n {
		t.Errorf("the answer has %d bytes, want one KeyUpdate of %d", len(answer), n)
	}
	if c.Due() || len(seal(t, c, nil, cache)) != 0 {
		t.Error("answered twice")
	}
}

// A connection that goes on with keys of a client that never changes them asks for new ones, once.
func TestOldKeyOfTheClientIsRenewed(t *testing.T) {
	c, peer := twins(t, aes128gcm)
	cache := NewCache(2)
	c.in.seq, peer.out.seq = updateAfter-1, updateAfter-1
	for range 3 {
		in := raw(t, peer, typeApplicationData, []byte("x"), cache)
		if _, _, err := c.Open(in, cache); err != nil {
			t.Fatal(err)
		}
	}
	if !c.Due() {
		t.Fatal("nothing is due")
	}
	asks := seal(t, c, nil, cache)
	if _, _, err := c.Open(raw(t, peer, typeApplicationData, []byte("x"), cache), cache); err != nil || c.Due() {
		t.Fatalf("asked again before an answer could come, or %v", err)
	}
	if _, _, err := peer.Open(asks, cache); err != nil {
		t.Fatal(err)
	}
	if c.Due() || !peer.Due() {
		t.Errorf("due here %v, there %v; want the other side to owe one", c.Due(), peer.Due())
	}
	if _, _, err := c.Open(seal(t, peer, []byte("y"), cache), cache); err != nil || c.in.seq != 1 {
		t.Errorf("record %d of the new key, %v", c.in.seq, err)
	}
	c.in.seq = 1<<32 - 1
	var got *Error
	if _, _, err := c.Open(seal(t, peer, []byte("z"), cache), cache); !errors.As(err, &got) || got.Alert != AlertInternalError {
		t.Errorf("the counter goes round: %v", err)
	}
}

// script is a stream of records with all that may come in it, and the data it carries.
func script(t testing.TB, peer *Conn, cache *Cache) (stream []byte, data string) {
	add := func(typ byte, content string) { stream = append(stream, raw(t, peer, typ, []byte(content), cache)...) }
	add(typeApplicationData, "one ")
	add(typeApplicationData, "")
	add(typeApplicationData, strings.Repeat("two ", 50))
	add(typeHandshake, string(handshakeKeyUpdate(1)))
	updateKey(t, peer)
	add(typeApplicationData, "three ")
	add(typeHandshake, "\x18\x00")
	add(typeHandshake, "\x00\x01\x00")
	updateKey(t, peer)
	add(typeApplicationData, "four")
	add(typeAlert, "\x01\x00")
	return stream, "one " + strings.Repeat("two ", 50) + "three four"
}

// openAll feeds pieces as a loop does: what is left over goes before what comes next.
func openAll(c *Conn, cache *Cache, pieces ...[]byte) (data string, err error) {
	var kept []byte
	for _, piece := range pieces {
		in := append(bytes.Clone(kept), piece...)
		plain, rest, err := c.Open(in, cache)
		data += string(plain)
		if err != nil {
			return data, err
		}
		kept = bytes.Clone(rest)
	}
	return data, nil
}

func TestSplitAtEveryByte(t *testing.T) {
	for _, s := range allSuites {
		c, peer := twins(t, s)
		cache := NewCache(8)
		read := c.secretOf(reading, new([48]byte))
		stream, want := script(t, peer, cache)
		fresh := func() *Conn { return newConn(t, s.id(), read, read) }
		for i := range len(stream) + 1 {
			got, err := openAll(fresh(), cache, stream[:i], stream[i:])
			if got != want || err != ErrCloseNotify {
				t.Fatalf("split at %d: %q, %v", i, got, err)
			}
		}
		bytewise := make([][]byte, len(stream))
		for i := range stream {
			bytewise[i] = stream[i : i+1]
		}
		if got, err := openAll(fresh(), cache, bytewise...); got != want || err != ErrCloseNotify {
			t.Fatalf("byte by byte: %q, %v", got, err)
		}
	}
}

// No bit of a record can be changed, the header's included.
func TestEveryTamperedBit(t *testing.T) {
	for _, s := range allSuites {
		cache := NewCache(4)
		for bit := range 8 * (headerLen + 20 + 1 + tagLen) {
			c, peer := twins(t, s)
			in := seal(t, peer, []byte("twenty bytes of data"), cache)
			in[bit/8] ^= 1 << (bit % 8)
			plain, rest, err := c.Open(in, cache)
			if len(plain) > 0 {
				t.Fatalf("%v, bit %d: handed out %q", s, bit, plain)
			}
			longer := bit/8 >= 3 && bit/8 < headerLen && len(rest) > 0 // waits for a longer record
			var got *Error
			if !longer && !errors.As(err, &got) {
				t.Fatalf("%v, bit %d: %v", s, bit, err)
			}
		}
	}
}

func TestReplayedReorderedLost(t *testing.T) {
	for _, order := range [][]int{{0, 0}, {1}, {0, 2}, {1, 0}, {0, 1, 1}, {0, 1, 0}} {
		c, peer := twins(t, aes128gcm)
		cache := NewCache(4)
		var records [3][]byte
		for i := range records {
			records[i] = seal(t, peer, []byte(fmt.Sprint(i)), cache)
		}
		var in []byte
		for _, i := range order {
			in = append(in, records[i]...)
		}
		plain, _, err := c.Open(in, cache)
		var got *Error
		if !errors.As(err, &got) || got.Alert != AlertBadRecordMAC || !strings.HasPrefix("012", string(plain)) {
			t.Errorf("records %v: %q, %v", order, plain, err)
		}
	}
}
