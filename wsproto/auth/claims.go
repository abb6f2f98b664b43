package auth

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"

	"roost/internal/jsonscan"
	"roost/internal/names"
)

// DefaultUserClaim is the claim that holds the user id where [Config] names no other (RFC 7519 section 4.1.2).
const DefaultUserClaim = "sub"

// userClaim names the claim that has the user id, and has the errors about it. Static after construction.
type userClaim struct {
	claim    string
	quoted   string // the same as JSON has it
	missing  *Error
	noString *Error
	bad      *Error
}

func newUserClaim(name string) userClaim {
	if name == "" {
		name = DefaultUserClaim
	}
	called := headerText(name)
	kinds := ": it has to be a string, in quotes"
	if name != DefaultUserClaim {
		kinds += ", or a whole number"
	}
	return userClaim{
		claim:    name,
		quoted:   `"` + name + `"`,
		missing:  &Error{Reason: NoSubject, Text: "token without " + called},
		noString: &Error{Reason: BadSubject, Text: "token with a " + called + " that is no string" + kinds},
		bad:      &Error{Reason: BadSubject, Text: "token with a bad " + called + ": 1 to 255 bytes of UTF-8 without control characters"},
	}
}

// claims is what Roost reads of a token. It implements [jwt.ClaimsValidator]: golang-jwt judges the dates, the issuer and
// the audience, and asks Validate about the rest.
type claims struct {
	from       *userClaim // static: where the user id is
	withGroups bool       // static: the groups count

	subject  string // the text of the user id, empty: there is none
	listed   string // the text of the groups
	user     string // set by Validate, as the next
	groups   []string
	issuer   string
	audience jwt.ClaimStrings
	expires  *jwt.NumericDate
	earliest *jwt.NumericDate
	issued   *jwt.NumericDate
}

var errClaims = errors.New("the claims are no JSON object, or a date in them is no number")

// read reads the claims. It matches their names exactly and takes the last of equal names, as RFC 7519 section 4 allows.
func (c *claims) read(text string) error {
	var issuer, audience, expires, earliest, issued string
	object := members(text, func(name, value string) {
		if name == c.from.quoted { // which may be one of those below as well
			c.subject = value
		}
		switch name {
		case `"groups"`:
			c.listed = value
		case `"iss"`:
			issuer = value
		case `"aud"`:
			audience = value
		case `"exp"`:
			expires = value
		case `"nbf"`:
			earliest = value
		case `"iat"`:
			issued = value
		}
	})
	if !object {
		return errClaims
	}
	if c.subject == "" && strings.Contains(c.from.claim, ".") {
		c.subject = find(text, c.from.claim)
	}
	var ok [3]bool
	c.expires, ok[0] = numericDate(expires)
	c.earliest, ok[1] = numericDate(earliest)
	c.issued, ok[2] = numericDate(issued)
	if ok != [3]bool{true, true, true} {
		return errClaims
	}
	c.issuer, _ = stringOf(issuer)
	c.audience = audienceOf(audience)
	return nil
}

// find returns the value of a claim, empty if there is none: the one that has this name, whatever is in that, or else a
// member of an object, user.id of {"user":{"id":…}}. Names may hold dots themselves, as those of namespaces do: of several
// readings the one with the shortest first part counts.
func find(object, name string) string {
	if value := member(object, name); value != "" {
		return value
	}
	for i := strings.IndexByte(name, '.'); i >= 0; {
		if inner := member(object, name[:i]); inner != "" {
			if found := find(inner, name[i+1:]); found != "" {
				return found
			}
		}
		next := strings.IndexByte(name[i+1:], '.')
		if next < 0 {
			break
		}
		i += 1 + next
	}
	return ""
}

// member returns the value of the last member of that name, empty if there is none.
func member(object, name string) (found string) {
	quoted := `"` + name + `"`
	members(object, func(name, value string) {
		if name == quoted {
			found = value
		}
	})
	return found
}

// audienceOf reads aud, a string or a list of them (RFC 7519 section 4.1.3). Anything else is no audience, which matters only
// where one is required.
func audienceOf(value string) (audience jwt.ClaimStrings) {
	if value == "" || json.Unmarshal([]byte(value), &audience) != nil {
		return nil
	}
	return audience
}

// numericDate reads a JSON number of seconds; nil when it is missing or null.
// The library's own type also takes strings, and sends a number beyond the
// range of int64 into the past.
func numericDate(value string) (date *jwt.NumericDate, ok bool) {
	if value == "" || value == "null" {
		return nil, true
	}
	if value[0] != '-' && !isDigit(value[0]) {
		return nil, false
	}
	// The only error is that of the range, and then f is infinite.
	f, _ := strconv.ParseFloat(value, 64)
	const end = 253402300799 // the last second of the year 9999
	seconds := int64(math.Max(0, math.Min(f, end)))
	return &jwt.NumericDate{Time: time.Unix(seconds, 0)}, true
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

// stringOf reads the text of a JSON string that stands for a name. It is false for anything else.
func stringOf(text string) (s string, ok bool) {
	// encoding/json would put U+FFFD where the UTF-8 or a surrogate pair is
	// broken, and so make one name of many different ones.
	if text == "" || text[0] != '"' || !utf8.ValidString(text) {
		return "", false
	}
	plain := jsonscan.Unescaped(text)
	s = plain[1 : len(plain)-1]
	return s, !brokenSurrogates(text, s)
}

func brokenSurrogates(text, decoded string) bool {
	return strings.ContainsRune(decoded, utf8.RuneError) && strings.Contains(strings.ToLower(text), `\ud`)
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

// userID reads a user id. A sub is a string (RFC 7519 section 4.1.2); other claims are often the number of a row: a whole
// number is the user id, in the digits of the token.
func (c *claims) userID() (user string, problem *Error) {
	if c.subject == "" {
		return "", c.from.missing
	}
	if c.from.claim != DefaultUserClaim && wholeNumber(c.subject) {
		return strings.Clone(c.subject), nil
	}
	if c.subject[0] != '"' {
		return "", c.from.noString
	}
	user, ok := stringOf(c.subject)
	if !ok || !names.ValidUser(user) {
		return "", c.from.bad
	}
	return strings.Clone(user), nil // it outlives the token
}

// wholeNumber reports whether a JSON value is a number of digits alone, with a sign perhaps, that is short enough for an
// id.
func wholeNumber(value string) bool {
	digits := strings.TrimPrefix(value, "-")
	for i := range len(digits) {
		if !isDigit(digits[i]) {
			return false
		}
	}
	return digits != "" && len(value) <= names.MaxUser
}

// GetExpirationTime implements [jwt.Claims].
func (c *claims) GetExpirationTime() (*jwt.NumericDate, error) { return c.expires, nil }

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
