// Package names says what the name of a user or a group may be, wherever one comes from: a token, a channel, a command.
package names

import (
	"unicode"
	"unicode/utf8"
)

const (
	// MaxUser bounds a user id, the token's sub, in bytes.
	MaxUser = 255
	// MaxGroup bounds the name of a group in bytes.
	MaxGroup = MaxUser
	// MaxGroups bounds how many groups a connection may be in.
	MaxGroups = 200
)

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

// ValidGroup reports whether a token can name a group so. The rules are those of user ids.
func ValidGroup(group string) bool { return ValidUser(group) }
