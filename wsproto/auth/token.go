package auth

import (
	"bytes"
	"encoding/base64"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"roost/internal/jsonscan"
)

// MaxToken bounds a token in bytes.
const MaxToken = 8 << 10

// maxTokenHeader bounds the first part of a token, in bytes as sent. It is parsed before
// anything can be verified, and holds alg, typ, and perhaps a key's name.
const maxTokenHeader = 1 << 10

// tokenBase64 is the base64url of tokens: no padding (RFC 7515 section 2), and no bits set behind the end.
var tokenBase64 = base64.RawURLEncoding.Strict()

// token is a compact JWT (RFC 7515 section 7.1) of which the header was read. It aliases what was parsed. One call's.
type token struct {
	text      []byte // the first two parts, which are signed
	claims    []byte // the second part, in base64
	signature []byte
	buffer    [64]byte // of signature, where that is enough

	alg      string
	kid      string
	badKid   bool // there is a kid, and it is no string
	critical bool // there are extensions that have to be understood
}

// parse takes a token apart and reads its header. Its claims are not looked at before the signature is known to be
// good: nobody can make a loop work on claims of their own making.
func (t *token) parse(b []byte) *Error {
	if len(b) > MaxToken {
		return errTooLong
	}
	if !compact(b) || bytes.Count(b, []byte{'.'}) != 2 {
		return explainMalformed(b)
	}
	first, last := bytes.IndexByte(b, '.'), bytes.LastIndexByte(b, '.')
	if first > maxTokenHeader {
		return errMalformed
	}
	var buffer [maxTokenHeader]byte
	header, err := tokenBase64.AppendDecode(buffer[:0], b[:first])
	if err != nil || !t.readHeader(string(header)) {
		return errMalformed
	}
	if t.signature, err = tokenBase64.AppendDecode(t.buffer[:0], b[last+1:]); err != nil {
		return errMalformed
	}
	t.text, t.claims = b[:last], b[first+1:last]
	return nil
}

// readHeader reads what counts of a header (RFC 7515 section 4.1). Of equal names the last one counts, as encoding/json has
// it. It is false where the header is no JSON object. "null" is one, as libraries have it, without members.
func (t *token) readHeader(text string) bool {
	if text == "null" {
		return true
	}
	return members(text, func(name, value string) {
		switch name {
		case `"alg"`:
			t.alg, _ = stringOf(value)
		case `"kid"`:
			kid, ok := stringOf(value)
			t.kid, t.badKid = kid, !ok
		case `"crit"`:
			// RFC 7515 section 4.1.11: extensions listed in crit that are not
			// understood make the token invalid. None is understood here.
			t.critical = true
		}
	})
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

// explainMalformed says what most likely went wrong when a text is not a token. It is for mistakes that integrators make
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

// signedBy reports whether one of the keys has signed the token.
func (t *token) signedBy(keys choice) bool {
	for _, s := range keys.secrets {
		if s.signed(t.alg, t.text, t.signature) {
			return true
		}
	}
	if len(keys.public) == 0 {
		return false
	}
	method, text := jwt.GetSigningMethod(t.alg), string(t.text)
	for _, key := range keys.public {
		if method.Verify(text, t.signature, key) == nil {
			return true
		}
	}
	return false
}

// members calls each with the members of a JSON object, in order: the name in quotes, without escapes, and the text of the
// value. It is false where the text is no object, and nothing else.
func members(text string, each func(name, value string)) bool {
	i := jsonscan.SkipSpace(text, 0)
	if jsonscan.At(text, i) != '{' {
		return false
	}
	i, more := jsonscan.FirstMember(text, i)
	for more {
		nameEnd, value, end := jsonscan.SkipMember(text, i, 1)
		if end > len(text) {
			return false
		}
		each(jsonscan.Unescaped(text[i:nameEnd]), text[value:end])
		i, more = jsonscan.NextMember(text, end)
	}
	return i <= len(text) && jsonscan.SkipSpace(text, i) == len(text)
}

// judge is what golang-jwt judges claims with. Owned by one call at a time.
type judge struct {
	validator *jwt.Validator
	now       time.Time
}

func (a *Authenticator) newJudge() *judge {
	j := new(judge)
	options := []jwt.ParserOption{
		jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(),
		jwt.WithLeeway(a.leeway),
		jwt.WithTimeFunc(func() time.Time { return j.now }),
	}
	if a.issuer != "" {
		options = append(options, jwt.WithIssuer(a.issuer))
	}
	if len(a.audience) > 0 {
		options = append(options, jwt.WithAudience(a.audience...))
	}
	j.validator = jwt.NewValidator(options...)
	return j
}
