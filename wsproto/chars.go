package wsproto

// charset is a set of byte values.
type charset [256]bool

// Static tables, never written after the package's variables are initialised.
var (
	// tokenChars may stand in a method or a header name (RFC 9110 section 5.6.2).
	tokenChars = alphanumericAnd("!#$%&'*+-.^_`|~")
	// targetChars may stand in a request target: what is visible, except "#".
	// A fragment is never sent (RFC 9112 section 3.2). Characters that RFC 3986
	// wants encoded ("|", "{", …) are let through since browsers leave some of
	// them in queries.
	targetChars = visibleExcept('#')
	// valueChars may stand in a header value (RFC 9110 section 5.5).
	valueChars = fieldValueChars()
	// hostChars may stand in a host name (RFC 3986 reg-name). Percent-encoding
	// is left out: no DNS name needs it.
	hostChars = alphanumericAnd("-._~!$&'()*+,;=")
	// jwtChars may stand in a compact JWT (RFC 7515 section 7.1), the dots
	// included. The base64 of the standard library also skips CR and LF.
	jwtChars = alphanumericAnd("-_.")
)

func alphanumericAnd(more string) charset {
	var set charset
	for c := byte('0'); c <= '9'; c++ {
		set[c] = true
	}
	for c := byte('a'); c <= 'z'; c++ {
		set[c], set[c-'a'+'A'] = true, true
	}
	for i := range len(more) {
		set[more[i]] = true
	}
	return set
}

func visibleExcept(c byte) charset {
	var set charset
	for v := byte(0x21); v < 0x7f; v++ {
		set[v] = v != c
	}
	return set
}

func fieldValueChars() charset {
	set := visibleExcept(0)
	set[' '], set['\t'] = true, true
	for c := 0x80; c <= 0xff; c++ {
		set[c] = true // obs-text
	}
	return set
}

// holds reports whether all of b is in the set.
func (s *charset) holds(b []byte) bool {
	for _, c := range b {
		if !s[c] {
			return false
		}
	}
	return true
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
