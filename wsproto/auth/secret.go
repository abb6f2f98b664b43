package auth

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"sync"
)

// secret is a key that tokens are signed with too (RFC 7518 section 3.2). Static after construction; any goroutine.
//
// It verifies HMACs itself. golang-jwt copies the token and makes an HMAC for each check, and a flood of tokens with wrong
// signatures must cost a loop next to nothing.
type secret struct {
	key  []byte
	macs [3]sync.Pool // of *mac, by secretIndex; as many as goroutines call at once
}

// mac is what one check takes. In the pool it holds nothing of a token.
type mac struct {
	hash.Hash
	sum [sha512.Size]byte
}

func newSecret(key []byte) *secret {
	s := &secret{key: bytes.Clone(key)}
	for i, hash := range []func() hash.Hash{sha256.New, sha512.New384, sha512.New} {
		s.macs[i].New = func() any {
			m := &mac{Hash: hmac.New(hash, s.key)}
			m.Reset() // from the first Reset on it remembers its state behind the key
			return m
		}
	}
	return s
}

// secretIndex tells the algorithms apart.
func secretIndex(alg string) int {
	switch alg {
	case "HS384":
		return 1
	case "HS512":
		return 2
	}
	return 0
}

// signed reports whether signature is the HMAC of text.
func (s *secret) signed(alg string, text, signature []byte) bool {
	pool := &s.macs[secretIndex(alg)]
	m := pool.Get().(*mac)
	m.Write(text)
	good := hmac.Equal(signature, m.Sum(m.sum[:0])) // in constant time, but for the length
	m.Reset()                                       // its block buffer holds the end of the text
	clear(m.sum[:])
	pool.Put(m)
	return good
}
