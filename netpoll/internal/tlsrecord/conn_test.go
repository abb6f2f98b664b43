package tlsrecord

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"unsafe"
)

// The size is what an idle connection pays, and each byte is paid 100,000 times.
func TestSizeOfConn(t *testing.T) {
	if n := unsafe.Sizeof(Conn{}); n > 96 {
		t.Errorf("a Conn has %d bytes, want 96 at most, which is a size class", n)
	}
	if n := unsafe.Sizeof(tails{}); n != 32 {
		t.Errorf("the tails have %d bytes, want 32", n)
	}
	for _, s := range allSuites {
		if c, _ := twins(t, s); (c.tails == nil) != (s != aes256gcm) {
			t.Errorf("%v: tails %v", s, c.tails != nil)
		}
	}
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		panic(err)
	}
	return b
}

// RFC 8448 section 3: the keys and records of the handshake that the RFC prints.
func TestRFC8448(t *testing.T) {
	client := unhex("9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5")
	server := unhex("a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643")
	c, cache := newConn(t, 0x1301, client, server), NewCache(1)
	for _, test := range []struct {
		what   string
		secret []byte
		label  string
		want   string
	}{
		{"client key", client, "key", "17422dda596ed5d9acd890e3c63f5051"},
		{"client IV", client, "iv", "5b78923dee08579033e523d9"},
		{"server key", server, "key", "9f02283b6c9c07efc26bb9f2ac92e356"},
		{"server IV", server, "iv", "cf782b88dd83549aadf1e984"},
	} {
		got := make([]byte, len(test.want)/2)
		new(deriver).expand(got, aes128gcm, test.secret, test.label)
		if hex.EncodeToString(got) != test.want {
			t.Errorf("%s %x, want %s", test.what, got, test.want)
		}
	}
	data := make([]byte, 50)
	for i := range data {
		data[i] = byte(i)
	}
	in := unhex(`17 03 03 00 43 a2 3f 70 54 b6 2c 94 d0 af fa fe 82 28 ba 55 cb ef ac ea 42 f9 14 aa 66 bc ab 3f 2b 98 19 a8
		a5 b4 6b 39 5b d5 4a 9a 20 44 1e 2b 62 97 4e 1f 5a 62 92 a2 97 70 14 bd 1e 3d ea e6 3a ee bb 21 69 49 15 e4
		17 03 03 00 13 c9 87 27 60 65 56 66 b7 4d 7f f1 15 3e fd 6d b6 d0 b0 e3`)
	if got, rest, err := c.Open(in, cache); !bytes.Equal(got, data) || len(rest) > 0 || err != ErrCloseNotify {
		t.Errorf("opened %x, %v", got, err)
	}
	c.SkipSent(1) // the NewSessionTicket
	want := unhex(`17 03 03 00 43 2e 93 7e 11 ef 4a c7 40 e5 38 ad 36 00 5f c4 a4 69 32 fc 32 25 d0 5f 82 aa 1b 36 e3 0e fa f9
		7d 90 e6 df fc 60 2d cb 50 1a 59 a8 fc c4 9c 4b f2 e5 f0 a2 1c 00 47 c2 ab f3 32 54 0d d0 32 e1 67 c2 95 5d
		17 03 03 00 13 b5 8f d6 71 66 eb f5 99 d2 47 20 cf be 7e fa 7a 88 64 a9`)
	if got := c.CloseNotify(seal(t, c, data, cache), cache); !bytes.Equal(got, want) {
		t.Errorf("sealed %x\nwant   %x", got, want)
	}
}

func TestNewRefusesWrongSecrets(t *testing.T) {
	for _, test := range []struct {
		suite       uint16
		read, write int
		want        string
	}{
		{0xc02f, 32, 32, "0xc02f is not one of TLS 1.3"},
		{0x1301, 32, 48, "TLS_AES_128_GCM_SHA256 has secrets of 32 bytes, not of 48"},
		{0x1302, 32, 48, "TLS_AES_256_GCM_SHA384 has secrets of 48 bytes, not of 32"},
		{0x1303, 0, 0, "not of 0"},
	} {
		c, err := New(test.suite, make([]byte, test.read), make([]byte, test.write))
		if c != nil || err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%#x with %d and %d: %v, want %q", test.suite, test.read, test.write, err, test.want)
		}
	}
}

func TestSkipSentOnlyBeforeTheFirstRecord(t *testing.T) {
	c, _ := twins(t, aes128gcm)
	seal(t, c, []byte("x"), NewCache(0))
	defer func() {
		if recover() == nil {
			t.Error("the sequence number was set back")
		}
	}()
	c.SkipSent(0)
}

// Keys are in no text made of a Conn, by any verb, logger or encoder.
func TestKeysAreHidden(t *testing.T) {
	for _, s := range allSuites {
		c, _ := twins(t, s)
		var out strings.Builder
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%b", "%o", "%U", "%c", "%t"} {
			fmt.Fprintf(&out, verb+" ", c)
			fmt.Fprintf(&out, verb+" ", struct{ C *Conn }{c})
			fmt.Fprintf(&out, verb+" ", []*Conn{c})
		}
		slog.New(slog.NewJSONHandler(&out, nil)).Info("json", "conn", c, "in", struct{ C *Conn }{c})
		slog.New(slog.NewTextHandler(&out, nil)).Info("text", "conn", c)
		if b, err := json.Marshal(c); err == nil {
			out.Write(b)
		}
		text := out.String()
		for _, secret := range [][]byte{c.in.secret[:], c.out.secret[:]} {
			for _, form := range []string{"%x", "%X", "%v", "%s", "%#v", "%d"} {
				whole := fmt.Sprintf(form, secret[:4])
				if strings.Contains(text, strings.Trim(whole, "[]")) {
					t.Fatalf("%v: %s of a key is in %s", s, form, text)
				}
			}
		}
		if !strings.Contains(text, "tlsrecord.Conn("+s.String()+")") {
			t.Errorf("the suite is not in %s", text)
		}
	}
}

func TestWipe(t *testing.T) {
	for _, s := range allSuites {
		c, peer := twins(t, s)
		cache := NewCache(2)
		in := seal(t, peer, []byte("late"), cache)
		seal(t, c, []byte("x"), cache)
		kept := c.tails
		c.Wipe(cache)
		zero := [2]half{}
		if c.in != zero[0] || c.out != zero[1] || kept != nil && *kept != (tails{}) {
			t.Errorf("%v: keys are left", s)
		}
		for _, slot := range cache.slots {
			if slot.owner == c {
				t.Error("the cache still has its ciphers")
			}
		}
		if b, err := c.Seal(nil, []byte("x"), cache); err != ErrClosed || b != nil {
			t.Errorf("sealed %x, %v", b, err)
		}
		if b, rest, err := c.Open(in, cache); len(b)+len(rest) > 0 || err != nil {
			t.Errorf("opened %q, %v", b, err)
		}
		if b := append(c.CloseNotify(nil, cache), c.SealAlert(nil, AlertInternalError, cache)...); len(b) > 0 {
			t.Errorf("an alert is sealed with no key: %x", b)
		}
		c.Wipe(cache)
	}
}

func TestAlertNames(t *testing.T) {
	for a, want := range map[Alert]string{0: "close_notify", 20: "bad_record_mac", 48: "unknown_ca", 200: "alert 200"} {
		if a.String() != want {
			t.Errorf("%d is %q, want %q", a, a, want)
		}
	}
}
