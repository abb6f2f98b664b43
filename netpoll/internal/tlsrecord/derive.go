package tlsrecord

import "hash"

// deriver is HKDF-Expand-Label (RFC 8446 section 7.1) without garbage: crypto/hkdf makes 1 KB of it for each key
// and IV, and an idle connection needs two of each for a ping. TestDeriver compares the two.
type deriver struct {
	hashes [2]hash.Hash // SHA-256 and SHA-384, made where they are first needed
	block  [128]byte    // the padded key of the HMAC
	label  [32]byte
	sum    [48]byte
}

// expand fills dst, which is no longer than the suite's hash: HKDF-Expand (RFC 5869 section 2.3) is one HMAC then.
func (e *deriver) expand(dst []byte, s Suite, secret []byte, label string) {
	h := e.hash(s)
	block := e.block[:h.BlockSize()]
	pad := func(with byte) {
		clear(block)
		copy(block, secret)
		for i := range block {
			block[i] ^= with
		}
		h.Reset()
		h.Write(block)
	}
	pad(0x36) // RFC 2104 section 2
	h.Write(append(appendLabel(e.label[:0], label, len(dst)), 1))
	inner := h.Sum(e.sum[:0])
	pad(0x5c)
	h.Write(inner)
	copy(dst, h.Sum(e.sum[:0]))
	clear(block)
	clear(e.sum[:])
	h.Reset()
}

func (e *deriver) hash(s Suite) hash.Hash {
	i := 0
	if s == aes256gcm {
		i = 1
	}
	if e.hashes[i] == nil {
		e.hashes[i] = s.hash()()
	}
	return e.hashes[i]
}
