package names

import (
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"a": true, "42": true, "alice@example.com": true, "user:with:colons": true, " ": true, "日本語": true, "\U0001f426": true,
		"\ufffd": true, "\u00a0": true, strings.Repeat("x", MaxUser): true,
		"": false, strings.Repeat("x", MaxUser+1): false, strings.Repeat("é", MaxUser/2+1): false, "a\x00": false, "\x01probe": false, "a\nb": false,
		"a\x7f": false, "a\u0085": false, "a\xff": false, "\xed\xa0\x80": false,
	} {
		if ValidUser(name) != want || ValidGroup(name) != want {
			t.Errorf("%q is valid: %v as a user, %v as a group; want %v", name, ValidUser(name), ValidGroup(name), want)
		}
	}
}
