package wsproto

import (
	"bytes"
	"errors"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// MaxToken bounds a token in bytes.
const MaxToken = 8 << 10

// maxTokenHeader bounds the first part of a token, in bytes as sent. It is parsed before
// anything can be verified, and holds alg, typ, and perhaps a key's name.
const maxTokenHeader = 1 << 10

var errCritical = errors.New("token has critical headers")

// identity is what a good token says: who, until when, and in which groups.
type identity struct {
	user    string
	expires time.Time
	groups  []string // nil: in none
}

// readToken checks a token the quick way. later says that it may be good with a public key: to find out takes longer
// than a loop may, and is left to checkToken, in turn.
func (g *Gate) readToken(token []byte, now time.Time) (id identity, refusal *Refusal, turn Turn, later bool) {
	ring := g.ring.Load()
	id, found := g.plainIdentity(ring, token, now)
	switch {
	case found == genuine:
		return id, nil, 0, false
	case found == forged:
		return identity{}, refuseTokenSignature, 0, false
	case len(ring.public) > 0 || g.unknown != nil:
		turn, refusal = ring.triage(token)
		return identity{}, refusal, turn, refusal == nil
	case found == strange:
		if !jwtChars.holds(token) {
			return identity{}, refuseMalformed(token), 0, false
		}
		token = withoutClaims(token)
	}
	id, refusal = g.checkToken(token, now)
	return id, refusal, 0, false
}

// checkToken verifies signature and claims, with a key of any kind.
func (g *Gate) checkToken(token []byte, now time.Time) (identity, *Refusal) {
	ring := g.ring.Load()
	id, key, refusal := g.checkWith(ring, token, now)
	leftOut := refusal != nil && refusal.leftOut
	if g.unknown == nil || refusal != refuseTokenKey && !leftOut {
		return id, refusal
	}
	if wait, pending := g.unknown(key); pending && !leftOut { // a key that is left out may be mended, which takes its time
		return identity{}, RefuseKeyPending(wait)
	}
	if newer := g.ring.Load(); newer != ring { // they came in between
		id, _, refusal = g.checkWith(newer, token, now)
	}
	return id, refusal
}

// checkWith is checkToken with these keys, and says which key the token names. The library requires nothing by
// itself, so everything that must be there is said here.
func (g *Gate) checkWith(ring *keyring, token []byte, now time.Time) (id identity, key string, refusal *Refusal) {
	if !jwtChars.holds(token) || bytes.Count(token, []byte{'.'}) != 2 {
		return identity{}, "", refuseMalformed(token)
	}
	if bytes.IndexByte(token, '.') > maxTokenHeader {
		return identity{}, "", refuseTokenMalformed
	}
	options := []jwt.ParserOption{
		jwt.WithValidMethods(KnownAlgorithms()), // which of them a token may have its key says
		jwt.WithStrictDecoding(),
		jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(),
		jwt.WithLeeway(g.leeway),
		jwt.WithTimeFunc(func() time.Time { return now }),
	}
	if g.issuer != "" {
		options = append(options, jwt.WithIssuer(g.issuer))
	}
	if len(g.audience) > 0 {
		options = append(options, jwt.WithAudience(g.audience...))
	}
	parser := jwt.NewParser(options...)
	c := claims{userClaim: g.user.claim, withGroups: !g.ignoreGroups}
	choice := keyChoice{ring: ring, pending: g.unknown != nil}
	if _, err := parser.ParseWithClaims(string(token), &c, choice.keys); err != nil {
		return identity{}, choice.name, choice.refuse(err, &c, g)
	}
	return identity{c.user, c.expires.Time, c.groups}, choice.name, nil
}

// refuseMalformed says what a client most likely did with a token that is none. It is for mistakes that integrators make
// over and over; what the client sent is not repeated.
func refuseMalformed(token []byte) *Refusal {
	switch {
	case bytes.ContainsAny(token, `"'`):
		return refuseTokenQuoted
	case len(token) > 7 && equalFold(token[:7], "bearer "):
		return refuseTokenScheme
	case bytes.HasPrefix(token, []byte("[object")) || slices.Contains([]string{"undefined", "null", "None", "nil", "NaN"}, string(token)):
		return refuseTokenWord
	case bytes.ContainsAny(token, " \t\r\n"):
		return refuseTokenSpace
	case bytes.Count(token, []byte{'.'}) != 2:
		return refuseTokenParts
	}
	return refuseTokenMalformed
}

// keyChoice chooses the keys for one token. One call's.
type keyChoice struct {
	ring    *keyring
	pending bool   // there may be more keys
	made    bool   // there are keys to try
	kid     string // that the token names
	name    string // what the token says of its key: GateConfig.UnknownKey
}

// keys hands the keys to the library, whose parser has checked that the algorithm is known
// before it asks. It tries one after the other.
func (k *keyChoice) keys(token *jwt.Token) (any, error) {
	// RFC 7515 section 4.1.11: extensions listed in crit that are not
	// understood make the token invalid. None is understood here.
	if _, ok := token.Header["crit"]; ok {
		return nil, errCritical
	}
	alg := token.Method.Alg()
	k.kid, _ = token.Header["kid"].(string)
	k.name = alg + " " + k.kid
	if !slices.Contains(k.ring.allowed.names, alg) {
		if k.ring.leftOut[k.kid] != nil {
			return nil, errLeftOut
		}
		return nil, errAlgorithm
	}
	set, err := k.ring.choose(token.Header)
	if err == errAlgorithm && k.pending && !SecretAlgorithm(alg) {
		err = errKey
	}
	k.made = err == nil
	return set, err
}

// refuse says which of several faults counts.
func (k *keyChoice) refuse(err error, c *claims, g *Gate) *Refusal {
	switch {
	case errors.Is(err, errLeftOut):
		return k.ring.leftOut[k.kid]
	case errors.Is(err, errCritical):
		return refuseTokenCritical
	case errors.Is(err, errKeyFamily):
		return refuseTokenFamily
	case errors.Is(err, errKeyID):
		return refuseTokenKeyID
	case errors.Is(err, errKey):
		return refuseTokenKey
	case errors.Is(err, errNoKeyID):
		return refuseTokenNoKeyID
	case errors.Is(err, jwt.ErrTokenMalformed):
		return refuseTokenMalformed
	case errors.Is(err, jwt.ErrTokenSignatureInvalid) && k.made:
		return refuseTokenSignature
	case errors.Is(err, jwt.ErrTokenSignatureInvalid), errors.Is(err, jwt.ErrTokenUnverifiable):
		return k.ring.refuseAlgorithm
	}
	return g.refuseClaims(err, c)
}

// refuseClaims is refuse for a token with a good signature. The library's errors nest: the order of the cases matters.
func (g *Gate) refuseClaims(err error, c *claims) *Refusal {
	switch {
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing) && c.expires == nil:
		return refuseTokenNoExpiry
	case errors.Is(err, jwt.ErrTokenExpired):
		return refuseTokenExpired
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return refuseTokenNotYetValid
	case errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return refuseTokenFuture
	case errors.Is(err, jwt.ErrTokenInvalidIssuer), errors.Is(err, jwt.ErrTokenRequiredClaimMissing) && c.issuer == "" && g.issuer != "":
		return refuseTokenIssuer
	case errors.Is(err, jwt.ErrTokenInvalidAudience), errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return refuseTokenAudience
	case errors.Is(err, errNoSubject):
		return g.user.missing
	case errors.Is(err, errSubjectKind):
		return g.user.noString
	case errors.Is(err, errBadSubject):
		return g.user.bad
	case errors.Is(err, errBadGroups):
		return refuseTokenBadGroups
	}
	return refuseTokenMalformed
}
