package wsproto

import (
	"bytes"
	"time"
)

// plainUser reads a token as nearly all are: signed with our key and spelled without
// anything odd. It has one answer only, a sure yes: ok says that checkToken
// would let the same user in. All else, every refusal too, is left to that. The
// user is all that it allocates.
//
// Nothing is decoded or read before the signature is known to be good.
func (g *Gate) plainUser(token []byte, now time.Time) (user string, ok bool) {
	header, rest, _ := bytes.Cut(token, []byte{'.'})
	payload, signature, three := bytes.Cut(rest, []byte{'.'})
	if !three || len(header) > maxTokenHeader || len(payload) > maxPlainSegment {
		return "", false
	}
	v := g.verifiers.Get().(*verifier)
	if v.signed(token[:len(token)-len(signature)-1], signature) && plainHeader(v.decode(header)) {
		c := readPlainClaims(v.decode(payload))
		if c.inTime(now, g.leeway) {
			user = plainUserID(c.subject)
		}
	}
	v.forget()
	g.verifiers.Put(v)
	return user, user != ""
}

// plainHeader reports whether a token's header names HS256 and is otherwise of
// no consequence (RFC 7515 section 4.1: "typ", a "kid").
func plainHeader(text []byte) bool {
	named := false
	o := openObject(text, 0)
	for o.next() {
		switch string(o.name) {
		case "alg":
			if named || string(o.value) != `"HS256"` {
				return false
			}
			named = true
		case "crit":
			return false
		default:
			// The library reads more than is looked at here: a number may
			// be too large for it.
			if o.value[0] != '"' {
				return false
			}
		}
	}
	return named && o.complete()
}

// plainUserID returns the user id that a subject spells byte for byte, or "".
func plainUserID(subject []byte) string {
	if len(subject) < 2 || subject[0] != '"' || bytes.IndexByte(subject, '\\') >= 0 {
		return ""
	}
	if user := string(subject[1 : len(subject)-1]); ValidUser(user) {
		return user
	}
	return ""
}
