package auth

import (
	"bytes"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"roost/internal/names"
)

// verdict is what a quick look at a token finds.
type verdict uint8

const (
	unsure  verdict = iota // Check has to judge
	genuine                // Check would let the same user in
	forged                 // it says that a secret has signed it, and none of ours has: Check would refuse it
	strange                // no secret of ours has signed it, and why it is no good Check has to say
)

// plainIdentity reads a token as nearly all are: signed with a secret of ours and spelled without
// anything odd. It answers only what it is sure of. What it isn't sure of is left to Check, and so are all
// refusals but one: what a stranger signed must not cost a loop the library's work. The user is all that it
// allocates.
//
// No claim is decoded or read before the signature is known to be good.
func (a *Authenticator) plainIdentity(ring *keyring, token []byte, now time.Time) (Identity, verdict) {
	header, rest, _ := bytes.Cut(token, []byte{'.'})
	payload, signature, three := bytes.Cut(rest, []byte{'.'})
	kind, ok := hmacOf(len(signature))
	if !three || len(header) > maxTokenHeader || !ok || !ring.allowed.secrets[kind] || len(ring.secrets) == 0 {
		return Identity{}, strange
	}
	text := token[:len(token)-len(signature)-1]
	for _, s := range ring.secrets {
		v := s.verifier(kind)
		signed := v.signed(text, signature)
		var id Identity
		if signed && plainHeader(v.decode(header), hmacs[kind].quoted) && len(payload) <= maxPlainSegment {
			id = a.plainClaims(v.decode(payload), now)
		}
		s.release(v)
		switch {
		case id.User != "":
			return id, genuine
		case signed:
			return Identity{}, unsure
		}
	}
	return Identity{}, ring.secrets[0].judgeStranger(header, signature, kind)
}

// plainClaims returns whom claims surely let in, or nobody.
func (a *Authenticator) plainClaims(text []byte, now time.Time) (id Identity) {
	c := readPlainClaims(text, a.user.claim)
	if !c.inTime(now, a.leeway) || !a.knows(&c) {
		return Identity{}
	}
	id.User, id.Expires = plainUserID(c.subject), c.expires.time().Add(a.leeway)
	if c.groups != nil && !a.ignoreGroups {
		var ok bool
		if id.Groups, ok = plainGroups(c.groups); !ok {
			return Identity{}
		}
	}
	return id
}

// judgeStranger judges a token that no secret has signed by its header and signature: when these are in order the
// signature is all that counts. Any secret will do.
func (s *secret) judgeStranger(header, signature []byte, kind int) verdict {
	v := s.verifier(kind)
	defer s.release(v)
	if len(v.decode(signature)) == hmacs[kind].size && plainHeader(v.decode(header), hmacs[kind].quoted) {
		return forged
	}
	return strange
}

// withoutClaims returns a token with {} in place of its claims, which are not worth reading when nobody of ours has
// signed them. What else is wrong with it stays as it is.
func withoutClaims(token []byte) []byte {
	header, rest, _ := bytes.Cut(token, []byte{'.'})
	_, signature, three := bytes.Cut(rest, []byte{'.'})
	if !three {
		return token
	}
	return slices.Concat(header, []byte(".e30."), signature)
}

// knows reports whether the token surely is of the issuer and for an audience that are asked for: spelled
// without escapes, and the audience not in a list.
func (a *Authenticator) knows(c *plainClaims) bool {
	if a.issuer != "" && !isQuoted(c.issuer, a.issuer) {
		return false
	}
	return len(a.audience) == 0 || slices.ContainsFunc(a.audience, func(name string) bool { return isQuoted(c.audience, name) })
}

// isQuoted reports whether a JSON text is a string byte for byte. What encoding/json
// would read as something else is none.
func isQuoted(text []byte, s string) bool {
	return len(text) == len(s)+2 && text[0] == '"' && string(text[1:len(text)-1]) == s &&
		strings.IndexByte(s, '\\') < 0 && utf8.ValidString(s)
}

// plainHeader reports whether a token's header names an algorithm, in quotes, and is otherwise of
// no consequence (RFC 7515 section 4.1: "typ", a "kid").
func plainHeader(text []byte, algorithm string) bool {
	named := false
	o := openObject(text, 0)
	for o.next() {
		switch string(o.name) {
		case "alg":
			if named || string(o.value) != algorithm {
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
	if user := string(subject[1 : len(subject)-1]); names.ValidUser(user) {
		return user
	}
	return ""
}
