package wsproto

import (
	"unicode"
	"unicode/utf8"
)

// MaxUser bounds a user id, the token's sub, in bytes.
const MaxUser = 255

// ValidUser reports whether a token's sub can be this user id: 1 to MaxUser bytes
// of UTF-8 without control characters.
func ValidUser(user string) bool {
	if len(user) == 0 || len(user) > MaxUser || !utf8.ValidString(user) {
		return false
	}
	for _, r := range user {
		if unicode.IsControl(r) {
			return false
		}
	}
	return true
}
