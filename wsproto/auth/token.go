package auth

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

// Identity is what a good token says.
type Identity struct {
	User string
	// Groups are the groups that the user is in: each of them valid (see names.ValidGroup), sorted, none twice, MaxGroups
	// at most. Nil: none.
	Groups []string
	// Expires is from when on the token would not be accepted: its exp and the leeway.
	Expires time.Time
}

// Identify checks a token against the time now. It takes a few microseconds: where checking takes longer, because the token
// may be signed with a key pair, it reports later, and nothing is decided. Then [Authenticator.Check] has to follow on
// another goroutine than a loop, in the order that turn says. It keeps nothing of the token.
func (a *Authenticator) Identify(token []byte, now time.Time) (id Identity, problem *Error, turn Turn, later bool) {
	if len(token) > MaxToken {
		return Identity{}, errTooLong, 0, false
	}
	ring := a.ring.Load()
	id, found := a.plainIdentity(ring, token, now)
	switch {
	case found == genuine:
		return id, nil, 0, false
	case found == forged:
		return Identity{}, errSignature, 0, false
	case len(ring.public) > 0 || a.unknown != nil:
		turn, problem = ring.triage(token)
		return Identity{}, problem, turn, problem == nil
	case found == strange:
		if !compact(token) {
			return Identity{}, explainMalformed(token), 0, false
		}
		token = withoutClaims(token)
	}
	id, problem = a.Check(token, now)
	return id, problem, 0, false
}

// Check checks a token where [Authenticator.Identify] left that for later: signature and claims, with a key of any kind. It takes
// 30 to 100 microseconds for most tokens, and up to eight times as much for one that doesn't say which key is its own.
func (a *Authenticator) Check(token []byte, now time.Time) (Identity, *Error) {
	ring := a.ring.Load()
	id, key, problem := a.checkWith(ring, token, now)
	leftOut := problem != nil && problem.leftOut
	if a.unknown == nil || problem != errUnknownKey && !leftOut {
		return id, problem
	}
	if wait, pending := a.unknown(key); pending && !leftOut { // a key that is left out may be mended, which takes its time
		return Identity{}, errPending(wait)
	}
	if newer := a.ring.Load(); newer != ring { // they came in between
		id, _, problem = a.checkWith(newer, token, now)
	}
	return id, problem
}

// checkWith is Check with these keys, and says which key the token names. The library requires nothing by
// itself, so everything that must be there is said here.
func (a *Authenticator) checkWith(ring *keyring, token []byte, now time.Time) (id Identity, key string, problem *Error) {
	if !compact(token) || bytes.Count(token, []byte{'.'}) != 2 {
		return Identity{}, "", explainMalformed(token)
	}
	if bytes.IndexByte(token, '.') > maxTokenHeader {
		return Identity{}, "", errMalformed
	}
	options := []jwt.ParserOption{
		jwt.WithValidMethods(KnownAlgorithms()), // which of them a token may have its key says
		jwt.WithStrictDecoding(),
		jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(),
		jwt.WithLeeway(a.leeway),
		jwt.WithTimeFunc(func() time.Time { return now }),
	}
	if a.issuer != "" {
		options = append(options, jwt.WithIssuer(a.issuer))
	}
	if len(a.audience) > 0 {
		options = append(options, jwt.WithAudience(a.audience...))
	}
	parser := jwt.NewParser(options...)
	c := claims{from: &a.user, withGroups: !a.ignoreGroups}
	choice := keyChoice{ring: ring, pending: a.unknown != nil}
	if _, err := parser.ParseWithClaims(string(token), &c, choice.keys); err != nil {
		return Identity{}, choice.name, choice.explain(err, &c, a)
	}
	return Identity{User: c.user, Groups: c.groups, Expires: c.expires.Add(a.leeway)}, choice.name, nil
}

// compact reports whether a token has no other characters than a JWT may have (RFC 7515 section 7.1), the dots included. The
// base64 of the standard library also skips CR and LF.
func compact(token []byte) bool {
	for _, c := range token {
		if !jwtChars[c] {
			return false
		}
	}
	return true
}

// jwtChars is never written after the package's variables are initialised.
var jwtChars = func() (set [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") {
		set[c] = true
	}
	return set
}()

// explainMalformed says what a client most likely did with a token that is none. It is for mistakes that integrators make
// over and over; what the client sent is not repeated.
func explainMalformed(token []byte) *Error {
	switch {
	case bytes.ContainsAny(token, `"'`):
		return errQuoted
	case len(token) > 7 && bytes.EqualFold(token[:7], []byte("bearer ")):
		return errScheme
	case bytes.HasPrefix(token, []byte("[object")) || slices.Contains([]string{"undefined", "null", "None", "nil", "NaN"}, string(token)):
		return errPlaceholder
	case bytes.ContainsAny(token, " \t\r\n"):
		return errSpace
	case bytes.Count(token, []byte{'.'}) != 2:
		return errParts
	}
	return errMalformed
}

// keyChoice chooses the keys for one token. One call's.
type keyChoice struct {
	ring    *keyring
	pending bool   // there may be more keys
	made    bool   // there are keys to try
	name    string // what the token says of its key: Config.UnknownKey
	problem *Error // why there are none
}

// keys hands the keys to the library, whose parser has checked that the algorithm is known
// before it asks. It tries one after the other.
func (k *keyChoice) keys(token *jwt.Token) (any, error) {
	alg := token.Method.Alg()
	kid, _ := token.Header["kid"].(string)
	k.name = alg + " " + kid
	set, problem := k.choose(token.Header, alg, kid)
	if problem != nil {
		k.problem = problem
		return nil, problem
	}
	k.made = true
	return set, nil
}

func (k *keyChoice) choose(header map[string]any, alg, kid string) (set jwt.VerificationKeySet, problem *Error) {
	// RFC 7515 section 4.1.11: extensions listed in crit that are not
	// understood make the token invalid. None is understood here.
	if _, ok := header["crit"]; ok {
		return set, errCritical
	}
	if !slices.Contains(k.ring.allowed.names, alg) {
		if leftOut := k.ring.leftOut[kid]; leftOut != nil {
			return set, leftOut
		}
		return set, k.ring.errAlgorithm
	}
	set, problem = k.ring.choose(header)
	if problem == k.ring.errAlgorithm && k.pending && !SecretAlgorithm(alg) {
		problem = errUnknownKey
	}
	return set, problem
}

// explain says which of several faults counts.
func (k *keyChoice) explain(err error, c *claims, a *Authenticator) *Error {
	switch {
	case k.problem != nil:
		return k.problem
	case errors.Is(err, jwt.ErrTokenMalformed):
		return errMalformed
	case errors.Is(err, jwt.ErrTokenSignatureInvalid) && k.made:
		return errSignature
	case errors.Is(err, jwt.ErrTokenSignatureInvalid), errors.Is(err, jwt.ErrTokenUnverifiable):
		return k.ring.errAlgorithm
	}
	return a.explainClaims(err, c)
}

// explainClaims is explain for a token with a good signature. The library's errors nest: the order of the cases matters.
func (a *Authenticator) explainClaims(err error, c *claims) *Error {
	var problem *Error // of Validate
	switch {
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing) && c.expires == nil:
		return errNoExpiry
	case errors.Is(err, jwt.ErrTokenExpired):
		return errExpired
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return errNotYetValid
	case errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return errIssuedFuture
	case errors.Is(err, jwt.ErrTokenInvalidIssuer), errors.Is(err, jwt.ErrTokenRequiredClaimMissing) && c.issuer == "" && a.issuer != "":
		return errIssuer
	case errors.Is(err, jwt.ErrTokenInvalidAudience), errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return errAudience
	case errors.As(err, &problem):
		return problem
	}
	return errMalformed
}
