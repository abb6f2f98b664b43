package auth

import (
	"crypto/hmac"
	"crypto/sha512"
	"encoding/base64"
	"hash"
)

// maxPlainSegment bounds the base64 of a token's header and of its claims that a
// verifier decodes; more is rare.
const maxPlainSegment = 2 << 10

// tokenBase64 is the base64url of tokens: no padding (RFC 7515 section 2), and as
// jwt.WithStrictDecoding has it no bits set behind the end.
var tokenBase64 = base64.RawURLEncoding.Strict()

// verifier is what checking a signature takes, so that each check doesn't
// allocate it again. Owned by one call at a time; a secret keeps them. It
// holds nothing of a token between calls.
type verifier struct {
	kind int       // index in hmacs
	mac  hash.Hash // HMAC with the secret
	sum  [sha512.Size]byte
	text [maxPlainSegment * 3 / 4]byte
	used int // of text
}

func newVerifier(secret []byte, kind int) *verifier {
	v := &verifier{kind: kind, mac: hmac.New(hmacs[kind].hash, secret)}
	// The first Reset makes hmac remember the state behind the key.
	v.mac.Reset()
	return v
}

// signed reports whether signature is the HMAC of text.
func (v *verifier) signed(text, signature []byte) bool {
	var given [sha512.Size + 2]byte // DecodedLen of what is no signature may be more
	size := hmacs[v.kind].size
	if len(signature) != tokenBase64.EncodedLen(size) {
		return false
	}
	if n, err := tokenBase64.Decode(given[:], signature); err != nil || n != size {
		return false
	}
	v.mac.Write(text)
	return hmac.Equal(given[:size], v.mac.Sum(v.sum[:0])) // in constant time
}

// decode decodes a segment of at most maxPlainSegment bytes. The result, empty when it isn't
// base64, is good until the next call.
func (v *verifier) decode(segment []byte) []byte {
	v.used = max(v.used, tokenBase64.DecodedLen(len(segment)))
	n, err := tokenBase64.Decode(v.text[:], segment)
	// Decode skips CR and LF, which no segment may have: then n stands for less.
	if err != nil || tokenBase64.EncodedLen(n) != len(segment) {
		return nil
	}
	return v.text[:n]
}

// forget prepares for the next token.
func (v *verifier) forget() {
	v.mac.Reset()
	clear(v.sum[:])
	clear(v.text[:v.used])
	v.used = 0
}
