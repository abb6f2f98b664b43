package tlsrecord

import (
	"encoding/binary"
	"errors"
)

const (
	headerLen    = 5
	tagLen       = 16
	maxPlaintext = 1 << 14                // RFC 8446 section 5.1
	maxRecord    = maxPlaintext + 256     // section 5.2: the length in a header
	recordAdds   = headerLen + 1 + tagLen // what a record adds to its content: header, type, tag

	// updateAfter is how many records one key protects. RFC 8446 section 5.5 allows 2^24.5 full-size
	// ones with AES-GCM.
	updateAfter = 1 << 24
)

// Content types (RFC 8446 section 5.1).
const (
	typeChangeCipherSpec = 20
	typeAlert            = 21
	typeHandshake        = 22
	typeApplicationData  = 23
)

// ErrClosed means that close_notify or a fatal alert was sent, or that the keys were wiped: nothing
// can be sent any more.
var ErrClosed = errors.New("tls: the sending side is closed")

// SealedLen is how many bytes n bytes of data become, KeyUpdates aside.
func SealedLen(n int) int {
	return n + (n+maxPlaintext-1)/maxPlaintext*recordAdds
}

// Seal appends to dst the records that carry plaintext, and before them a KeyUpdate that is due;
// without plaintext only that. plaintext is read and not kept, and must not share memory with dst.
// The appended bytes have to be sent in this order and whole, or not at all with an end of the
// connection: a record that was left out can't be sealed again.
func (c *Conn) Seal(dst, plaintext []byte, cache *Cache) ([]byte, error) {
	if c.flags&flagNoWrite != 0 {
		return dst, ErrClosed
	}
	dst, err := c.sealDue(dst, cache)
	for err == nil && len(plaintext) > 0 {
		n := min(len(plaintext), maxPlaintext)
		dst, err = c.sealRecord(dst, typeApplicationData, plaintext[:n], cache)
		plaintext = plaintext[n:]
		if err == nil && c.out.seq >= updateAfter {
			dst, err = c.SealKeyUpdate(dst, false, cache)
		}
	}
	return dst, err
}

// Due reports whether a KeyUpdate waits to be sent: Seal it, with or without data.
func (c *Conn) Due() bool {
	return c.flags&(flagUpdateOwed|flagUpdateWanted) != 0 && c.flags&flagNoWrite == 0
}

// CloseNotify appends close_notify, once; nothing can be sent after it.
func (c *Conn) CloseNotify(dst []byte, cache *Cache) []byte {
	return c.sealLast(dst, 1, AlertCloseNotify, cache)
}

// SealAlert appends a fatal alert. It ends both directions.
func (c *Conn) SealAlert(dst []byte, a Alert, cache *Cache) []byte {
	c.flags |= flagNoRead
	return c.sealLast(dst, 2, a, cache)
}

func (c *Conn) sealLast(dst []byte, level byte, a Alert, cache *Cache) []byte {
	if c.flags&flagNoWrite != 0 {
		return dst
	}
	sealed, err := c.sealRecord(dst, typeAlert, []byte{level, byte(a)}, cache)
	c.flags |= flagNoWrite
	if err != nil {
		return dst
	}
	return sealed
}

// sealRecord is the one function that encrypts. It takes the next sequence number before
// anything else, so that no way out of it leaves a number to be used again.
func (c *Conn) sealRecord(dst []byte, typ byte, content []byte, cache *Cache) ([]byte, error) {
	seq := c.out.seq
	if seq == 1<<32-1 {
		c.flags |= flagNoWrite // unreachable: updateAfter comes first
		return dst, ErrClosed
	}
	c.out.seq++

	keyed, err := cache.keyed(c, writing)
	if err != nil {
		c.flags |= flagNoWrite
		return dst, err
	}
	n := len(content) + 1 + tagLen
	start := len(dst)
	dst = append(dst, typeApplicationData, 3, 3, byte(n>>8), byte(n))
	dst = append(dst, content...)
	dst = append(dst, typ)
	header, inner := dst[start:start+headerLen], dst[start+headerLen:]
	return keyed.aead.Seal(dst[:start+headerLen], cache.setNonce(&keyed.iv, seq), inner, header), nil
}

// setNonce is RFC 8446 section 5.3: the IV, with the sequence number over its end.
func (k *Cache) setNonce(iv *[12]byte, seq uint32) []byte {
	k.nonce = *iv
	last := k.nonce[8:]
	binary.BigEndian.PutUint32(last, binary.BigEndian.Uint32(last)^seq)
	return k.nonce[:]
}
