package handshake

import "encoding/binary"

// charset is a set of byte values.
type charset struct {
	has [256]bool
	// from begins a range up to "~" that is in the set as a whole, for what can
	// look at eight bytes at once; 0 if none is worth a look.
	from byte
}

// Static tables, never written after the package's variables are initialised.
var (
	// tokenChars may stand in a method or a header name (RFC 9110 section 5.6.2).
	tokenChars = alphanumericAnd("!#$%&'*+-.^_`|~")
	// targetChars may stand in a request target: what is visible, except "#". A
	// fragment is never sent (RFC 9112 section 3.2). Characters that RFC 3986
	// requires encoded ("|", "{", …) are let through since browsers leave some of
	// them in queries.
	targetChars = visibleExcept('#')
	// valueChars may stand in a header value (RFC 9110 section 5.5).
	valueChars = fieldValueChars()
	// hostChars may stand in a host name (RFC 3986 reg-name). Percent-encoding
	// is left out: no DNS name needs it.
	hostChars = alphanumericAnd("-._~!$&'()*+,;=")
	// originChars are those that browsers leave in the host of an origin.
	originChars = alphanumericAnd("-._")
)

func alphanumericAnd(more string) charset {
	var set charset
	for c := byte('0'); c <= '9'; c++ {
		set.has[c] = true
	}
	for c := byte('a'); c <= 'z'; c++ {
		set.has[c], set.has[c-'a'+'A'] = true, true
	}
	for i := range len(more) {
		set.has[more[i]] = true
	}
	return set
}

func visibleExcept(c byte) charset {
	set := charset{from: c + 1}
	for v := byte(0x21); v < 0x7f; v++ {
		set.has[v] = v != c
	}
	return set
}

func fieldValueChars() charset {
	set := visibleExcept(' ')
	set.has[' '], set.has['\t'] = true, true
	set.from = ' '
	for c := 0x80; c <= 0xff; c++ {
		set.has[c] = true // obs-text
	}
	return set
}

// holds reports whether all of b is in the set.
func (s *charset) holds(b []byte) bool {
	if s.from > 0 {
		b = afterRange(b, s.from)
	}
	for _, c := range b {
		if !s.has[c] {
			return false
		}
	}
	return true
}

// afterRange drops bytes from b, eight by eight, as long as all are at least from
// and at most "~". from is below 0x80.
func afterRange(b []byte, from byte) []byte {
	const each, high = 0x0101010101010101, 0x8080808080808080
	least := each * uint64(from)
	for len(b) >= 8 {
		// Without its highest bit, a byte gets it by subtraction if it is less, and
		// by adding one if it is DEL; the first to borrow or carry has it too.
		x := binary.LittleEndian.Uint64(b)
		if (x|(x-least)|(x+each))&high != 0 {
			break
		}
		b = b[8:]
	}
	return b
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// equalFold compares ASCII without case. want must be in lower case.
func equalFold(b []byte, want string) bool {
	if len(b) != len(want) {
		return false
	}
	for i, c := range b {
		if lower(c) != want[i] {
			return false
		}
	}
	return true
}
