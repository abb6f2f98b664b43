package auth

import (
	"encoding/json"
	"strings"

	"roost/internal/names"
)

// DefaultUserClaim is the claim that holds the user id where [Config] names no other (RFC 7519 section 4.1.2).
const DefaultUserClaim = "sub"

// userClaim is where a token has the user id, and what is said of one that doesn't. Static after construction.
type userClaim struct {
	claim    string
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
		missing:  &Error{Reason: NoSubject, Text: "token without " + called},
		noString: &Error{Reason: BadSubject, Text: "token with a " + called + " that is no string" + kinds},
		bad:      &Error{Reason: BadSubject, Text: "token with a bad " + called + ": 1 to 255 bytes of UTF-8 without control characters"},
	}
}

// find returns the value of a claim, nil where there is none: the one that has this name, whatever is in that, or else a
// member of an object, user.id of {"user":{"id":…}}. Names may hold dots themselves, as those of namespaces do: of
// several readings the one with the shortest first part counts.
func find(all map[string]json.RawMessage, name string) json.RawMessage {
	if value, there := all[name]; there {
		return value
	}
	for i := strings.IndexByte(name, '.'); i >= 0; {
		var inner map[string]json.RawMessage
		if value, there := all[name[:i]]; there && json.Unmarshal(value, &inner) == nil {
			if found := find(inner, name[i+1:]); found != nil {
				return found
			}
		}
		next := strings.IndexByte(name[i+1:], '.')
		if next < 0 {
			break
		}
		i += 1 + next
	}
	return nil
}

// userID reads a user id. A sub is a string (RFC 7519 section 4.1.2); other claims are often the number of a row, which is
// the user id as it is written, where that is a whole number.
func (c *claims) userID() (user string, problem *Error) {
	if c.subject == nil {
		return "", c.from.missing
	}
	if c.from.claim != DefaultUserClaim && wholeNumber(c.subject) {
		return string(c.subject), nil
	}
	if c.subject[0] != '"' {
		return "", c.from.noString
	}
	user, ok := stringOf(c.subject)
	if !ok || !names.ValidUser(user) {
		return "", c.from.bad
	}
	return user, nil
}

// wholeNumber reports whether a JSON value is a number of digits alone, with a sign perhaps, that is short enough for an
// id.
func wholeNumber(value []byte) bool {
	digits := value
	if len(digits) > 1 && digits[0] == '-' {
		digits = digits[1:]
	}
	for _, c := range digits {
		if !isDigit(c) {
			return false
		}
	}
	return len(value) <= names.MaxUser
}
