package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
)

// claims is what Roost reads of a token. It implements [jwt.ClaimsValidator].
//
// The library decodes claims before it knows that the signature is good; only then
// does it call the methods. Reading waits for them, so that a stranger can't make
// the loop work on claims of his own making.
type claims struct {
	from       *userClaim // static: where the user id is
	withGroups bool       // static: the groups count

	raw      []byte
	subject  json.RawMessage // the user id
	listed   json.RawMessage // the groups
	user     string          // set by Validate, as the next
	groups   []string
	issuer   string
	audience jwt.ClaimStrings
	expires  *jwt.NumericDate
	earliest *jwt.NumericDate
	issued   *jwt.NumericDate
}

// UnmarshalJSON keeps the claims for later. It implements [json.Unmarshaler].
func (c *claims) UnmarshalJSON(data []byte) error {
	c.raw = bytes.Clone(data)
	return nil
}

// read decodes the claims. It matches their names exactly (struct tags would
// ignore case) and takes the last of equal names, as RFC 7519 section 4 allows.
func (c *claims) read() error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(c.raw, &all); err != nil {
		return err
	}
	c.subject, c.listed = find(all, c.from.claim), all["groups"]
	var errs [3]error
	c.expires, errs[0] = numericDate(all["exp"])
	c.earliest, errs[1] = numericDate(all["nbf"])
	c.issued, errs[2] = numericDate(all["iat"])
	c.issuer, c.audience = issuerOf(all["iss"]), audienceOf(all["aud"])
	return errors.Join(errs[:]...)
}

// issuerOf reads iss; anything but a string is no issuer, which matters only where
// one is required.
func issuerOf(raw json.RawMessage) (issuer string) {
	if json.Unmarshal(raw, &issuer) != nil {
		return ""
	}
	return issuer
}

// audienceOf reads aud, a string or a list of them (RFC 7519 section 4.1.3), in the same way.
func audienceOf(raw json.RawMessage) (audience jwt.ClaimStrings) {
	if json.Unmarshal(raw, &audience) != nil {
		return nil
	}
	return audience
}

// numericDate reads a JSON number of seconds; nil when it is missing or null.
// The library's own type also takes strings, and sends a number beyond the
// range of int64 into the past.
func numericDate(raw json.RawMessage) (*jwt.NumericDate, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	if raw[0] != '-' && !isDigit(raw[0]) {
		return nil, jwt.ErrInvalidType
	}
	// The only error is that of the range, and then f is infinite.
	f, _ := strconv.ParseFloat(string(raw), 64)
	const end = 253402300799 // the last second of the year 9999
	seconds := int64(math.Max(0, math.Min(f, end)))
	return &jwt.NumericDate{Time: time.Unix(seconds, 0)}, nil
}

// Validate turns the subject into a user id, and the groups into names. It implements
// [jwt.ClaimsValidator]; the library calls it last.
func (c *claims) Validate() error {
	var problem *Error
	if c.user, problem = c.userID(); problem != nil {
		return problem
	}
	if c.withGroups {
		var ok bool
		if c.groups, ok = groupsOf(c.listed); !ok {
			return errBadGroups
		}
	}
	return nil
}

// stringOf reads a JSON string that stands for a name. It is false for anything else.
func stringOf(raw json.RawMessage) (s string, ok bool) {
	// encoding/json would put U+FFFD where the UTF-8 or a surrogate pair is
	// broken, and so make one name of many different ones.
	if raw[0] != '"' || !utf8.Valid(raw) {
		return "", false
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", false
	}
	return s, !brokenSurrogates(raw, s)
}

func brokenSurrogates(raw []byte, decoded string) bool {
	if !bytes.ContainsRune([]byte(decoded), utf8.RuneError) {
		return false
	}
	raw = bytes.ToLower(raw)
	return bytes.Contains(raw, []byte(`\ud`))
}

// GetExpirationTime implements [jwt.Claims]. The validator calls it first, so
// here is where the claims are read.
func (c *claims) GetExpirationTime() (*jwt.NumericDate, error) {
	if err := c.read(); err != nil {
		return nil, errors.Join(jwt.ErrTokenMalformed, err)
	}
	return c.expires, nil
}

// GetIssuedAt implements [jwt.Claims].
func (c *claims) GetIssuedAt() (*jwt.NumericDate, error) { return c.issued, nil }

// GetNotBefore implements [jwt.Claims].
func (c *claims) GetNotBefore() (*jwt.NumericDate, error) { return c.earliest, nil }

// GetIssuer implements [jwt.Claims].
func (c *claims) GetIssuer() (string, error) { return c.issuer, nil }

// GetSubject implements [jwt.Claims].
func (c *claims) GetSubject() (string, error) { return c.user, nil }

// GetAudience implements [jwt.Claims].
func (c *claims) GetAudience() (jwt.ClaimStrings, error) { return c.audience, nil }
