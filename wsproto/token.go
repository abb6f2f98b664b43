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

// readToken checks a token, the quick way where that is sure.
func (g *Gate) readToken(token []byte, now time.Time) (user string, refusal *Refusal) {
	if user, ok := g.plainUser(token, now); ok {
		return user, nil
	}
	return g.checkToken(token, now)
}

// checkToken verifies signature and claims. The library requires nothing by
// itself, so everything that must be there is said here.
func (g *Gate) checkToken(token []byte, now time.Time) (user string, refusal *Refusal) {
	if !jwtChars.holds(token) || bytes.IndexByte(token, '.') > maxTokenHeader {
		return "", refuseTokenMalformed
	}
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Name}),
		jwt.WithStrictDecoding(),
		jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(),
		jwt.WithLeeway(g.leeway),
		jwt.WithTimeFunc(func() time.Time { return now }),
	)
	var c claims
	if _, err := parser.ParseWithClaims(string(token), &c, g.key); err != nil {
		return "", refuseToken(err)
	}
	return c.user, nil
}

// keyfunc hands the key to the library, whose parser has checked the algorithm
// before it asks.
func keyfunc(secret []byte) jwt.Keyfunc {
	return func(token *jwt.Token) (any, error) {
		// RFC 7515 section 4.1.11: extensions listed in crit that are not
		// understood make the token invalid. None is understood here.
		if _, ok := token.Header["crit"]; ok {
			return nil, errCritical
		}
		return secret, nil
	}
}

// refuseToken says which of several faults counts. The library's errors nest:
// the order of the cases matters.
func refuseToken(err error) *Refusal {
	switch {
	case errors.Is(err, jwt.ErrTokenMalformed):
		return refuseTokenMalformed
	case errors.Is(err, errCritical):
		return refuseTokenCritical
	case errors.Is(err, jwt.ErrSignatureInvalid):
		return refuseTokenSignature
	case errors.Is(err, jwt.ErrTokenSignatureInvalid), errors.Is(err, jwt.ErrTokenUnverifiable):
		return refuseTokenAlgorithm
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return refuseTokenNoExpiry
	case errors.Is(err, jwt.ErrTokenExpired):
		return refuseTokenExpired
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return refuseTokenNotYetValid
	case errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return refuseTokenFuture
	case errors.Is(err, errNoSubject):
		return refuseTokenNoSubject
	case errors.Is(err, errBadSubject):
		return refuseTokenBadSubject
	}
	return refuseTokenMalformed
}
