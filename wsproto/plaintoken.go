package wsproto

import (
	"bytes"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// plainIdentity reads a token as nearly all are: signed with a key of ours and spelled without
// anything odd. It has one answer only, a sure yes: ok says that checkToken
// would let the same user in. All else, every refusal too, is left to that. The
// user is all that it allocates.
//
// Nothing is decoded or read before the signature is known to be good.
func (g *Gate) plainIdentity(token []byte, now time.Time) (id identity, ok bool) {
	header, rest, _ := bytes.Cut(token, []byte{'.'})
	payload, signature, three := bytes.Cut(rest, []byte{'.'})
	if !three || len(header) > maxTokenHeader || len(payload) > maxPlainSegment {
		return identity{}, false
	}
	for _, s := range g.secrets {
		if id, ok = g.plainIdentityOf(s, token, header, payload, signature, now); ok {
			return id, true
		}
	}
	return identity{}, false
}

// plainIdentityOf is plainIdentity with one secret and the token's parts.
func (g *Gate) plainIdentityOf(s *secret, token, header, payload, signature []byte, now time.Time) (id identity, ok bool) {
	v := s.verifiers.Get().(*verifier)
	if v.signed(token[:len(token)-len(signature)-1], signature) && plainHeader(v.decode(header)) {
		c := readPlainClaims(v.decode(payload))
		if c.inTime(now, g.leeway) && g.knows(&c) {
			id = identity{plainUserID(c.subject), c.expires.time()}
		}
	}
	v.forget()
	s.verifiers.Put(v)
	return id, id.user != ""
}

// knows reports whether the token surely is of the issuer and for an audience that are asked for: spelled
// without escapes, and the audience not in a list.
func (g *Gate) knows(c *plainClaims) bool {
	if g.issuer != "" && !isQuoted(c.issuer, g.issuer) {
		return false
	}
	return len(g.audience) == 0 || slices.ContainsFunc(g.audience, func(name string) bool { return isQuoted(c.audience, name) })
}

// isQuoted reports whether a JSON text is a string byte for byte. What encoding/json
// would read as something else is none.
func isQuoted(text []byte, s string) bool {
	return len(text) == len(s)+2 && text[0] == '"' && string(text[1:len(text)-1]) == s &&
		strings.IndexByte(s, '\\') < 0 && utf8.ValidString(s)
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
