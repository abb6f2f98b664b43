package hub

import "math/bits"

// skipString returns the index behind the string that opens at s[i], or bad.
// That its bytes are UTF-8 is checked elsewhere.
func skipString(s string, i int) int {
	i = skipPlain(s, i+1)
	for at(s, i) == '\\' {
		// Where text is escaped one escape often follows the other.
		if i = skipEscape(s, i); at(s, i) != '\\' {
			i = skipPlain(s, i)
		}
	}
	if at(s, i) != '"' { // a control character, or the end
		return bad
	}
	return i + 1
}

// skipEscape skips an escape sequence, backslash first.
func skipEscape(s string, i int) int {
	switch at(s, i+1) {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		if isHex(at(s, i+2)) && isHex(at(s, i+3)) && isHex(at(s, i+4)) && isHex(at(s, i+5)) {
			return i + 6
		}
	}
	return bad
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
