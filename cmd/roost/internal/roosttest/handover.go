package roosttest

import "strings"

// TooSlow reports whether text has a reason for which a handover fails on a machine that is too busy for it. Everything goes on then, and a
// test asks for it again.
func TooSlow(text string) bool {
	for _, reason := range []string{"takes too long", "deadline exceeded", "says nothing for"} {
		if strings.Contains(text, reason) {
			return true
		}
	}
	return false
}
