package wsproto

import (
	"bytes"
	"errors"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// MaxToken bounds a token in bytes.
const MaxToken = 8 << 10

// maxTokenHeader bounds the first part of a token, in bytes as sent. It is parsed before
// anything can be verified, and holds alg, typ, and perhaps a key's name.
const maxTokenHeader = 1 << 10

var errCritical = errors.New("token has critical headers")

// identity is what a good token says: who, and until when.
type identity struct {
	user    string
	expires time.Time
}

// readToken checks a token, the quick way where that is sure.
func (g *Gate) readToken(token []byte, now time.Time) (identity, *Refusal) {
	switch id, found := g.plainIdentity(token, now); found {
	case genuine:
		return id, nil
	case forged:
		return identity{}, refuseTokenSignature
	case strange:
		if !jwtChars.holds(token) {
			return identity{}, refuseTokenMalformed
		}
		token = withoutClaims(token)
	}
	return g.checkToken(token, now)
}

// checkToken verifies signature and claims. The library requires nothing by
// itself, so everything that must be there is said here.
func (g *Gate) checkToken(token []byte, now time.Time) (identity, *Refusal) {
	if !jwtChars.holds(token) || bytes.IndexByte(token, '.') > maxTokenHeader {
		return identity{}, refuseTokenMalformed
	}
	options := []jwt.ParserOption{
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Name}),
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
	var c claims
	if _, err := parser.ParseWithClaims(string(token), &c, g.keys); err != nil {
		return identity{}, refuseToken(err, &c, g.issuer != "")
	}
	return identity{c.user, c.expires.Time}, nil
}

// keyfunc hands the keys to the library, whose parser has checked the algorithm
// before it asks. It tries one after the other.
func keyfunc(secrets []*secret) jwt.Keyfunc {
	var keys jwt.VerificationKeySet
	for _, s := range secrets {
		keys.Keys = append(keys.Keys, s.key)
	}
	return func(token *jwt.Token) (any, error) {
		// RFC 7515 section 4.1.11: extensions listed in crit that are not
		// understood make the token invalid. None is understood here.
		if _, ok := token.Header["crit"]; ok {
			return nil, errCritical
		}
		return keys, nil
	}
}

// refuseToken says which of several faults counts. issuer says that one is required. The library's errors nest:
// the order of the cases matters.
func refuseToken(err error, c *claims, issuer bool) *Refusal {
	switch {
	case errors.Is(err, jwt.ErrTokenMalformed):
		return refuseTokenMalformed
	case errors.Is(err, errCritical):
		return refuseTokenCritical
	case errors.Is(err, jwt.ErrSignatureInvalid):
		return refuseTokenSignature
	case errors.Is(err, jwt.ErrTokenSignatureInvalid), errors.Is(err, jwt.ErrTokenUnverifiable):
		return refuseTokenAlgorithm
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing) && c.expires == nil:
		return refuseTokenNoExpiry
	case errors.Is(err, jwt.ErrTokenExpired):
		return refuseTokenExpired
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return refuseTokenNotYetValid
	case errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return refuseTokenFuture
	case errors.Is(err, jwt.ErrTokenInvalidIssuer), errors.Is(err, jwt.ErrTokenRequiredClaimMissing) && c.issuer == "" && issuer:
		return refuseTokenIssuer
	case errors.Is(err, jwt.ErrTokenInvalidAudience), errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return refuseTokenAudience
	case errors.Is(err, errNoSubject):
		return refuseTokenNoSubject
	case errors.Is(err, errBadSubject):
		return refuseTokenBadSubject
	}
	return refuseTokenMalformed
}
