package hub

import "strings"

// A strict JSON scanner, in functions on a string and an index. Each is told
// where something begins and returns the index behind it. Where the grammar is
// broken the index is bad, at which nothing is found: what comes after an error
// fails by itself, and only the caller of the first function has to look.
//
// What it takes is exactly what encoding/json takes; see FuzzEnvelope.

// bad is an index past the end of any string.
const bad = 1 << 62

// maxDepth is how deeply objects and arrays may be nested, as encoding/json has
// it. The deepest take 2 MB of stack, which collections give back.
const maxDepth = 10_000

// at returns the byte at s[i], or 0, which is nowhere allowed, past the end.
func at(s string, i int) byte {
	if i < len(s) {
		return s[i]
	}
	return 0
}

func skipSpace(s string, i int) int {
	for i < len(s) && s[i] <= ' ' && (s[i] == ' ' || s[i] == '\t' || s[i] == '\n' || s[i] == '\r') {
		i++
	}
	return i
}

// skipValue skips a value that is nested in depth objects and arrays.
func skipValue(s string, i, depth int) int {
	switch at(s, i) {
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
	return bad
}

func skipArray(s string, i, depth int) int {
	if depth > maxDepth {
		return bad
	}
	i = skipSpace(s, i+1)
	if at(s, i) == ']' {
		return i + 1
	}
	for {
		i = skipSpace(s, skipValue(s, i, depth))
		switch at(s, i) {
		case ',':
			i = skipSpace(s, i+1)
		case ']':
			return i + 1
		default:
			return bad
		}
	}
}

func skipObject(s string, i, depth int) int {
	if depth > maxDepth {
		return bad
	}
	i, more := firstMember(s, i)
	for more {
		_, _, end := skipMember(s, i, depth)
		i, more = nextMember(s, end)
	}
	return i
}

// firstMember goes into the object that opens at s[i]: to its first member, or
// behind it if it has none.
func firstMember(s string, i int) (next int, more bool) {
	i = skipSpace(s, i+1)
	if at(s, i) == '}' {
		return i + 1, false
	}
	return i, true
}

// skipMember skips a member of an object, and says where its name ends and its
// value begins.
func skipMember(s string, i, depth int) (nameEnd, value, end int) {
	if at(s, i) != '"' {
		return bad, bad, bad
	}
	nameEnd = skipString(s, i)
	i = skipSpace(s, nameEnd)
	if at(s, i) != ':' {
		return bad, bad, bad
	}
	value = skipSpace(s, i+1)
	return nameEnd, value, skipValue(s, value, depth)
}

// nextMember goes from the end of a member to the next one, or behind the
// object if that was the last.
func nextMember(s string, i int) (next int, more bool) {
	i = skipSpace(s, i)
	switch at(s, i) {
	case ',':
		return skipSpace(s, i+1), true
	case '}':
		return i + 1, false
	}
	return bad, false
}

func skipNumber(s string, i int) int {
	if at(s, i) == '-' {
		i++
	}
	if at(s, i) == '0' {
		i++
	} else {
		i = skipDigits(s, i)
	}
	if at(s, i) == '.' {
		i = skipDigits(s, i+1)
	}
	if c := at(s, i); c == 'e' || c == 'E' {
		i++
		if c := at(s, i); c == '+' || c == '-' {
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
		return bad
	}
	return i
}
