package hub

import "encoding/json"

// eachMember calls fn with the name and the raw value of each member of the
// JSON object s, in order, and reports whether s is an object. s must be valid
// JSON (json.Valid): that is what lets this walk look at quotes, brackets and
// commas alone.
func eachMember(s string, fn func(name, value string)) (isObject bool) {
	i := skipSpace(s, 0)
	if s[i] != '{' {
		return false
	}
	i = skipSpace(s, i+1)
	for s[i] != '}' {
		nameEnd := skipString(s, i)
		name := memberName(s[i:nameEnd])
		i = skipSpace(s, nameEnd)
		start := skipSpace(s, i+1) // past the colon
		end := skipValue(s, start)
		fn(name, s[start:end])
		i = skipSpace(s, end)
		if s[i] == ',' {
			i = skipSpace(s, i+1)
		}
	}
	return true
}

// memberName returns what a quoted name says; names with escapes are rare.
func memberName(quoted string) string {
	for i := range len(quoted) {
		if quoted[i] == '\\' {
			var name string
			_ = json.Unmarshal([]byte(quoted), &name) // valid, so it can't fail
			return name
		}
	}
	return quoted[1 : len(quoted)-1]
}

func skipSpace(s string, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\t' || s[i] == '\n' || s[i] == '\r') {
		i++
	}
	return i
}

// skipString returns the index behind the string that opens at s[i].
func skipString(s string, i int) int {
	for i++; s[i] != '"'; i++ {
		if s[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// skipValue returns the index behind the value that begins at s[i].
func skipValue(s string, i int) int {
	switch s[i] {
	case '"':
		return skipString(s, i)
	case '{', '[':
		return skipNested(s, i)
	}
	for i < len(s) && !endsScalar(s[i]) {
		i++
	}
	return i
}

func skipNested(s string, i int) int {
	for depth := 0; ; {
		switch s[i] {
		case '"':
			i = skipString(s, i)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		i++
		if depth == 0 {
			return i
		}
	}
}

// endsScalar reports whether c can't be part of a number, true, false or null.
func endsScalar(c byte) bool {
	switch c {
	case ',', '}', ']', ' ', '\t', '\n', '\r':
		return true
	}
	return false
}
