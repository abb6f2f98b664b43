package tlsrecord

import (
	"bytes"
	"crypto/cipher"
	"encoding/binary"
	"testing"
)

// oracle opens records with nothing of this package but its key schedule: the next record always has
// to be the next number of the present key. A number used twice, or left out, does not open.
type oracle struct {
	t      testing.TB
	suite  Suite
	secret []byte
	aead   cipher.AEAD
	iv     []byte
	seq    uint64
	used   map[string]bool // key, nonce
	key    []byte
	ended  bool
}

func newOracle(t testing.TB, s Suite, secret []byte) *oracle {
	o := &oracle{t: t, suite: s, used: map[string]bool{}}
	o.rekey(secret)
	return o
}

func (o *oracle) rekey(secret []byte) {
	o.secret, o.seq = secret, 0
	o.key, _ = o.suite.expandLabel(secret, "key", o.suite.keyLen())
	o.iv, _ = o.suite.expandLabel(secret, "iv", 12)
	var err error
	if o.aead, err = o.suite.aead(o.key); err != nil {
		o.t.Fatal(err)
	}
}

// read opens all records of a stream and returns their data.
func (o *oracle) read(stream []byte) (data []byte) {
	for len(stream) > 0 {
		if o.ended {
			o.t.Fatalf("%d bytes after the last alert", len(stream))
		}
		n := headerLen + int(binary.BigEndian.Uint16(stream[3:]))
		nonce := bytes.Clone(o.iv)
		for i := range 8 {
			nonce[4+i] ^= byte(o.seq >> (56 - 8*i))
		}
		pair := string(o.key) + string(nonce)
		if o.used[pair] {
			o.t.Fatal("a nonce is used twice with a key")
		}
		o.used[pair] = true
		inner, err := o.aead.Open(nil, nonce, stream[headerLen:n], stream[:headerLen])
		if err != nil {
			o.t.Fatalf("record %d does not open with its number: %v", o.seq, err)
		}
		o.seq++
		content := inner[:len(inner)-1]
		switch inner[len(inner)-1] {
		case typeApplicationData:
			data = append(data, content...)
		case typeHandshake:
			next, _ := o.suite.expandLabel(o.secret, "traffic upd", o.suite.secretLen())
			o.rekey(next)
		case typeAlert:
			o.ended = true
		}
		stream = stream[n:]
	}
	return data
}

// FuzzNonces does to a Conn whatever a caller can, in any order, with a cache
// that is shared, small or none, and reads what it sent with an oracle.
func FuzzNonces(f *testing.F) {
	f.Add(uint8(0), uint8(1), []byte("\x01\x20\x02\x00\x01\x05\x06\x00\x03\x00\x01\x01\x04\x00\x01\x01"))
	f.Add(uint8(1), uint8(0), []byte("\x01\xff\x02\x01\x02\x01\x01\x00\x06\x01\x01\x09\x05\x00\x01\x01"))
	f.Add(uint8(2), uint8(2), []byte("\x00\x00\x03\x00\x01\x40\x01\x40\x03\x00\x04\x00\x04\x00\x02\x00"))
	f.Fuzz(func(t *testing.T, suite, slots uint8, ops []byte) {
		s := allSuites[int(suite)%len(allSuites)]
		cache := NewCache(int(slots % 3))
		c, peer := twins(t, s)
		other, _ := twins(t, s) // competes for the cache
		o := newOracle(t, s, c.secretOf(writing, new([48]byte)))
		var sent, got, want []byte
		for len(ops) >= 2 && len(want) < 1<<18 {
			op, arg := ops[0], int(ops[1])
			ops = ops[2:]
			switch op % 8 {
			case 1, 0: // data, of up to 65,025 bytes
				data := bytes.Repeat([]byte{op}, arg*arg)
				sealed, err := c.Seal(sent, data, cache)
				if err == nil {
					want = append(want, data...)
				}
				sent = sealed
			case 2: // a KeyUpdate comes, and asks for one or not
				in := raw(t, peer, typeHandshake, handshakeKeyUpdate(byte(arg%2)), cache)
				updateKey(t, peer)
				_, _, _ = c.Open(in, cache)
			case 3: // another connection uses the cache
				seal(t, other, []byte("x"), cache)
			case 4:
				sent = c.CloseNotify(sent, cache)
			case 5:
				sent = c.SealAlert(sent, Alert(arg), cache)
			case 6: // the key becomes old
				got = append(got, o.read(sent)...)
				sent = sent[:0]
				if c.out.seq < updateAfter-2 && c.flags&flagNoWrite == 0 {
					c.out.seq, o.seq = updateAfter-2, updateAfter-2
				}
			case 7: // something that can't be opened
				_, _, _ = c.Open(bytes.Repeat([]byte{23, 3, 3, 0, 20}, arg), cache)
			}
		}
		if got = append(got, o.read(sent)...); !bytes.Equal(got, want) {
			t.Fatalf("the oracle read %d bytes, want %d", len(got), len(want))
		}
	})
}

// FuzzOpen feeds anything to a Conn, after records that are good, in pieces: it never panics, hands out nothing
// but what was sealed, and keeps no more than a record.
func FuzzOpen(f *testing.F) {
	f.Add(uint8(0), uint16(3), []byte("\x17\x03\x03\x00\x13aaaaaaaaaaaaaaaaaaa"))
	f.Add(uint8(1), uint16(40), []byte("\x14\x03\x03\x00\x01\x01"))
	f.Add(uint8(2), uint16(9), []byte("\x17\x03\x03\x41\x01"))
	f.Fuzz(func(t *testing.T, suite uint8, cut uint16, tail []byte) {
		s := allSuites[int(suite)%len(allSuites)]
		cache := NewCache(1)
		c, peer := twins(t, s)
		stream := append(seal(t, peer, []byte("good data"), cache), tail...)
		at := min(int(cut), len(stream))
		got, err := openAll(c, cache, stream[:at], stream[at:])
		if got != "good data" {
			t.Fatalf("handed out %q", got)
		}
		if err == nil && len(tail) >= headerLen+maxRecord {
			t.Fatalf("%d bytes wait", len(tail))
		}
	})
}

// A key protects updateAfter records, and then a KeyUpdate comes by itself, with and without data waiting.
func TestKeyIsRenewedBeforeItsLimit(t *testing.T) {
	if updateAfter > 23_726_566 { // 2^24.5: RFC 8446 section 5.5
		t.Fatalf("a key is used for %d records", updateAfter)
	}
	for _, s := range allSuites {
		c, peer := twins(t, s)
		cache := NewCache(2)
		c.out.seq, peer.in.seq = updateAfter-2, updateAfter-2
		data := bytes.Repeat([]byte("x"), 5*maxPlaintext)
		plain, _, err := peer.Open(seal(t, c, data, cache), cache)
		if err != nil || !bytes.Equal(plain, data) {
			t.Fatalf("%v: opened %d bytes, %v", s, len(plain), err)
		}
		if c.out.seq != 3 || peer.in.seq != 3 {
			t.Errorf("%v: the new keys protected %d and %d records, want 3", s, c.out.seq, peer.in.seq)
		}
	}
}
