package handshake

import (
	"bytes"
	"testing"
)

// TestCharsetHolds puts each byte at each place of texts of all lengths up to three words.
func TestCharsetHolds(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]*charset{"token": &tokenChars, "target": &targetChars, "value": &valueChars, "host": &hostChars} {
		for length := range 25 {
			text := bytes.Repeat([]byte{'a'}, length)
			if !set.holds(text) {
				t.Fatalf("%s: not even %q", name, text)
			}
			for at := range text {
				for c := range 256 {
					text[at] = byte(c)
					if set.holds(text) != set.has[c] {
						t.Fatalf("%s: %q: %v", name, text, !set.has[c])
					}
				}
				text[at] = 'a'
			}
		}
	}
}

// TestCharsets spells the sets out.
func TestCharsets(t *testing.T) {
	t.Parallel()
	for c := range 256 {
		visible := 0x21 <= c && c <= 0x7e
		if got, want := targetChars.has[c], visible && c != '#'; got != want {
			t.Errorf("target %#x: %v", c, got)
		}
		if got, want := valueChars.has[c], visible || c == ' ' || c == '\t' || c >= 0x80; got != want {
			t.Errorf("value %#x: %v", c, got)
		}
	}
}
