// Package jsonscan is a strict JSON scanner, in functions on a string and an index. Each is told where something begins
// and returns the index behind it. Where the grammar is broken the index is Bad, at which nothing is found: what comes after
// an error fails by itself, and only the caller of the first function has to look.
//
// It takes exactly what encoding/json takes, but that bytes which are not UTF-8 are its caller's to find. It allocates nothing.
package jsonscan

import (
	"encoding/json"
	"math/bits"
	"strings"
)

// Bad is an index past the end of any string.
const Bad = 1 << 62

// MaxDepth is how deeply objects and arrays may be nested, as encoding/json has
// it. The deepest take 2 MB of stack, which collections give back.
const MaxDepth = 10_000

// At returns the byte at s[i], or 0, which is nowhere allowed, past the end.
func At(s string, i int) byte {
	if i < len(s) {
		return s[i]
	}
	return 0
}

// SkipSpace skips white space.
func SkipSpace(s string, i int) int {
	for i < len(s) && s[i] <= ' ' && (s[i] == ' ' || s[i] == '\t' || s[i] == '\n' || s[i] == '\r') {
		i++
	}
	return i
}

// SkipValue skips a value that is nested in depth objects and arrays.
func SkipValue(s string, i, depth int) int {
	switch At(s, i) {
	case '"':
		return skipString(s, i)
	case '{':
		return skipObject(s, i, depth+1)
	case '[':
		return skipArray(s, i, depth+1)
	case 't':
		return skipWord(s, i, "true")
	case 'f':
		return skipWord(s, i, "false")
	case 'n':
		return skipWord(s, i, "null")
	}
	return skipNumber(s, i)
}

func skipWord(s string, i int, word string) int {
	if strings.HasPrefix(s[i:], word) {
		return i + len(word)
	}
	return Bad
}

func skipArray(s string, i, depth int) int {
	if depth > MaxDepth {
		return Bad
	}
	i = SkipSpace(s, i+1)
	if At(s, i) == ']' {
		return i + 1
	}
	for {
		i = SkipSpace(s, SkipValue(s, i, depth))
		switch At(s, i) {
		case ',':
			i = SkipSpace(s, i+1)
		case ']':
			return i + 1
		default:
			return Bad
		}
	}
}

func skipObject(s string, i, depth int) int {
	if depth > MaxDepth {
		return Bad
	}
	i, more := FirstMember(s, i)
	for more {
		_, _, end := SkipMember(s, i, depth)
		i, more = NextMember(s, end)
	}
	return i
}

// FirstMember goes into the object that opens at s[i]: to its first member, or
// behind it if it has none.
func FirstMember(s string, i int) (next int, more bool) {
	i = SkipSpace(s, i+1)
	if At(s, i) == '}' {
		return i + 1, false
	}
	return i, true
}

// SkipMember skips a member of an object, and says where its name ends and its
// value begins.
func SkipMember(s string, i, depth int) (nameEnd, value, end int) {
	if At(s, i) != '"' {
		return Bad, Bad, Bad
	}
	nameEnd = skipString(s, i)
	i = SkipSpace(s, nameEnd)
	if At(s, i) != ':' {
		return Bad, Bad, Bad
	}
	value = SkipSpace(s, i+1)
	return nameEnd, value, SkipValue(s, value, depth)
}

// NextMember goes from the end of a member to the next one, or behind the
// object if that was the last.
func NextMember(s string, i int) (next int, more bool) {
	i = SkipSpace(s, i)
	switch At(s, i) {
	case ',':
		return SkipSpace(s, i+1), true
	case '}':
		return i + 1, false
	}
	return Bad, false
}

func skipNumber(s string, i int) int {
	if At(s, i) == '-' {
		i++
	}
	if At(s, i) == '0' {
		i++
	} else {
		i = skipDigits(s, i)
	}
	if At(s, i) == '.' {
		i = skipDigits(s, i+1)
	}
	if c := At(s, i); c == 'e' || c == 'E' {
		i++
		if c := At(s, i); c == '+' || c == '-' {
			i++
		}
		i = skipDigits(s, i)
	}
	return i
}

// skipDigits skips one digit or more.
func skipDigits(s string, i int) int {
	start := i
	for i < len(s) && s[i]-'0' <= 9 {
		i++
	}
	if i == start {
		return Bad
	}
	return i
}

// skipString returns the index behind the string that opens at s[i], or Bad.
// That its bytes are UTF-8 is checked elsewhere.
func skipString(s string, i int) int {
	i = skipPlain(s, i+1)
	for At(s, i) == '\\' {
		// Where text is escaped one escape often follows the other.
		if i = skipEscape(s, i); At(s, i) != '\\' {
			i = skipPlain(s, i)
		}
	}
	if At(s, i) != '"' { // a control character, or the end
		return Bad
	}
	return i + 1
}

// skipEscape skips an escape sequence, backslash first.
func skipEscape(s string, i int) int {
	switch At(s, i+1) {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		if isHex(At(s, i+2)) && isHex(At(s, i+3)) && isHex(At(s, i+4)) && isHex(At(s, i+5)) {
			return i + 6
		}
	}
	return Bad
}

func isHex(c byte) bool {
	return c-'0' <= 9 || c|0x20-'a' <= 'f'-'a'
}

// skipPlain skips the bytes of a string that stand for themselves, and stops at
// a quote, a backslash, a control character or the end. It looks at eight bytes
// at once.
func skipPlain(s string, i int) int {
	for ; i+8 <= len(s); i += 8 {
		if stops := stopsIn(word(s[i : i+8])); stops != 0 {
			return i + bits.TrailingZeros64(stops)/8
		}
	}
	for i < len(s) && s[i] >= ' ' && s[i] != '"' && s[i] != '\\' {
		i++
	}
	return i
}

// word returns the eight bytes of s, the first one lowest.
func word(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// stopsIn sets the top bit of the lowest byte of w that is a quote, a backslash
// or a control character. Bits above that one may be set wrongly: subtracting
// carries into the bytes above, and only there.
func stopsIn(w uint64) uint64 {
	const (
		each = 0x0101010101010101 // a byte times this is the byte eight times
		top  = 0x80 * each
	)
	quotes, backslashes := w^('"'*each), w^('\\'*each)
	return ((w-' '*each)&^w | (quotes-each)&^quotes | (backslashes-each)&^backslashes) & top
}

// Unescaped returns a quoted string without the escapes that it may be written with, which are rare, in quotes as before.
func Unescaped(quoted string) string {
	if strings.IndexByte(quoted, '\\') < 0 {
		return quoted
	}
	var text string
	_ = json.Unmarshal([]byte(quoted), &text) // valid, so it can't fail
	return `"` + text + `"`
}
