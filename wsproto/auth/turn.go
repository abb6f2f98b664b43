package auth

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
)

// Turn says when it is the turn of a token that is left to [Authenticator.Check], if many wait: lower ones go first. It is
// told by the token's header alone, which anybody can write.
type Turn uint8

const (
	// TurnNamed: the token names a key that is known. One check finds out.
	TurnNamed Turn = iota
	// TurnTried: it names no key, and several may have to be tried.
	TurnTried
	// TurnUnknown: it names a key that is not known, or its header is an odd one.
	TurnUnknown

	// TurnCount is how many there are.
	TurnCount = iota
)

// triage looks at the outside of a token that none of the secrets has signed. With an error it is no good whatever
// the keys would say: no arithmetic is spent on a signature that is not as long as its key's.
func (r *keyring) triage(token []byte) (Turn, *Error) {
	header, rest, _ := bytes.Cut(token, []byte{'.'})
	_, signature, three := bytes.Cut(rest, []byte{'.'})
	switch {
	case !three || !compact(token) || bytes.IndexByte(signature, '.') >= 0:
		return 0, explainMalformed(token)
	case len(header) > maxTokenHeader:
		return 0, errMalformed
	}
	text, err := tokenBase64.AppendDecode(nil, header)
	if err != nil {
		return 0, errMalformed
	}
	alg, kid, plain := plainHeaderNames(text)
	if !plain {
		return TurnUnknown, nil
	}
	turn, known, fits := r.find(alg, kid, len(signature))
	switch {
	case !known:
		return TurnUnknown, nil
	case !fits:
		return 0, errSignature
	}
	return turn, nil
}

// find looks for the keys that a token may be signed with, as choosePublic does, without collecting them: whether there
// are any, and one whose signatures are as long, in base64.
func (r *keyring) find(alg, kid []byte, signature int) (turn Turn, known, fits bool) {
	named := false
	for i := range r.public {
		named = named || len(kid) > 0 && r.public[i].id == string(kid)
	}
	turn = TurnTried
	if named {
		turn = TurnNamed
	}
	for i := range r.public {
		k := &r.public[i]
		if k.fits(string(alg)) && (len(kid) == 0 || k.id == string(kid) || k.id == "" && !named) {
			known = true
			fits = fits || signature == tokenBase64.EncodedLen(k.signatureSize())
		}
	}
	return turn, known, fits
}

// signatureSize is how many bytes the key's signatures have (RFC 7518 sections 3.3 and 3.4, RFC 8032 section 5.1.6).
func (k *PublicKey) signatureSize() int {
	switch key := k.key.(type) {
	case *rsa.PublicKey:
		return key.Size()
	case *ecdsa.PublicKey:
		return 2 * ((key.Params().BitSize + 7) / 8)
	}
	return ed25519.SignatureSize
}

// plainHeaderNames returns alg and kid as a token's header spells them, where it spells them so that nobody can read
// something else: without escapes, once, and with no extension that has to be understood.
func plainHeaderNames(text []byte) (alg, kid []byte, plain bool) {
	o := openObject(text, maxNesting)
	for o.next() {
		ok := true
		switch string(o.name) {
		case "crit":
			ok = false
		case "alg":
			ok = alg == nil
			alg = plainString(o.value)
			ok = ok && alg != nil
		case "kid":
			ok = kid == nil
			kid = plainString(o.value)
			ok = ok && kid != nil
		}
		if !ok {
			return nil, nil, false
		}
	}
	return alg, kid, o.complete()
}

// plainString returns what a JSON string spells byte for byte, nil if it is none.
func plainString(value []byte) []byte {
	if value[0] != '"' || bytes.IndexByte(value, '\\') >= 0 {
		return nil
	}
	return value[1 : len(value)-1]
}
