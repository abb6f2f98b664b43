package tlsrecord

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"fmt"
	"hash"

	"golang.org/x/crypto/chacha20poly1305"
)

// Suite is a cipher suite of TLS 1.3 (RFC 8446 appendix B.4), in a byte.
type Suite uint8

const (
	aes128gcm Suite = iota
	aes256gcm
	chacha20poly
)

func suiteOf(id uint16) (Suite, error) {
	switch id {
	case tls.TLS_AES_128_GCM_SHA256:
		return aes128gcm, nil
	case tls.TLS_AES_256_GCM_SHA384:
		return aes256gcm, nil
	case tls.TLS_CHACHA20_POLY1305_SHA256:
		return chacha20poly, nil
	}
	return 0, fmt.Errorf("cipher suite %#04x is not one of TLS 1.3 that Roost serves", id)
}

func (s Suite) id() uint16 {
	switch s {
	case aes128gcm:
		return tls.TLS_AES_128_GCM_SHA256
	case aes256gcm:
		return tls.TLS_AES_256_GCM_SHA384
	}
	return tls.TLS_CHACHA20_POLY1305_SHA256
}

func (s Suite) String() string { return tls.CipherSuiteName(s.id()) }

func (s Suite) keyLen() int {
	if s == aes128gcm {
		return 16
	}
	return 32
}

// Hash is the hash of a suite's key schedule and transcript.
func Hash(suite uint16) (func() hash.Hash, error) {
	s, err := suiteOf(suite)
	if err != nil {
		return nil, err
	}
	return s.hash(), nil
}

func (s Suite) hash() func() hash.Hash {
	if s == aes256gcm {
		return sha512.New384
	}
	return sha256.New
}

func (s Suite) secretLen() int {
	if s == aes256gcm {
		return sha512.Size384
	}
	return sha256.Size
}

func (s Suite) aead(key []byte) (cipher.AEAD, error) {
	if s == chacha20poly {
		return chacha20poly1305.New(key)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// ExpandLabel is HKDF-Expand-Label with an empty context (RFC 8446 section 7.1) and the
// hash of a suite of TLS 1.3.
func ExpandLabel(suite uint16, secret []byte, label string, length int) ([]byte, error) {
	s, err := suiteOf(suite)
	if err != nil {
		return nil, err
	}
	return s.expandLabel(secret, label, length)
}

func (s Suite) expandLabel(secret []byte, label string, length int) ([]byte, error) {
	return hkdf.Expand(s.hash(), secret, string(appendLabel(nil, label, length)), length)
}

// appendLabel appends an HkdfLabel with an empty context.
func appendLabel(dst []byte, label string, length int) []byte {
	dst = append(dst, byte(length>>8), byte(length), byte(len("tls13 ")+len(label)))
	dst = append(dst, "tls13 "...)
	dst = append(dst, label...)
	return append(dst, 0)
}

// direction says which half is meant.
type direction uint8

const (
	reading direction = iota
	writing
)

func (c *Conn) half(d direction) *half {
	if d == reading {
		return &c.in
	}
	return &c.out
}

// setSecret gives a direction a new secret, from which its key and IV come, and starts its sequence number
// at 0 (RFC 8446 section 5.3). This is the only place
// where a sequence number goes back, and it does so together with the key: see doc.go.
func (c *Conn) setSecret(d direction, secret []byte) error {
	if len(secret) != c.suite.secretLen() {
		return fmt.Errorf("%v has secrets of %d bytes, not of %d", c.suite, c.suite.secretLen(), len(secret))
	}
	h := c.half(d)
	h.seq = 0
	n := copy(h.secret[:], secret)
	if c.tails != nil {
		copy(c.tails[d][:], secret[n:])
	}
	return nil
}

// secretOf copies the secret of a direction to buf, and returns it.
func (c *Conn) secretOf(d direction, buf *[48]byte) []byte {
	n := copy(buf[:], c.half(d).secret[:])
	if c.tails != nil {
		n += copy(buf[n:], c.tails[d][:])
	}
	return buf[:n]
}

// nextSecret moves a direction to its next key (RFC 8446 section 7.2).
func (c *Conn) nextSecret(d direction) error {
	var buf [48]byte
	next, err := c.suite.expandLabel(c.secretOf(d, &buf), "traffic upd", c.suite.secretLen())
	clear(buf[:])
	if err != nil {
		return fmt.Errorf("deriving the next traffic secret: %w", err)
	}
	err = c.setSecret(d, next)
	clear(next)
	return err
}
