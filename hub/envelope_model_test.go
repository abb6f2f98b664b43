package hub

import (
	"encoding/json"
	"unicode/utf8"
)

// modelEnvelope is parseEnvelope as plainly as it can be said: the standard
// library judges, and a second walk finds the members.
func modelEnvelope(published string) (envelope, Invalid) {
	if !utf8.ValidString(published) {
		return envelope{}, InvalidUTF8
	}
	if !json.Valid([]byte(published)) {
		return envelope{}, InvalidJSON
	}
	e := envelope{payload: "null"}
	isObject := eachMember(published, func(name, value string) {
		switch name {
		case "type":
			e.kind = value
		case "payload":
			e.payload = value
		}
	})
	switch {
	case !isObject:
		return envelope{}, InvalidShape
	case e.kind == "":
		return envelope{}, InvalidTypeMissing
	case e.kind[0] != '"':
		return envelope{}, InvalidTypeNotString
	}
	return e, invalidNone
}

// eachMember calls fn with the name and the raw value of each member of the
// JSON object s, in order, and reports whether s is an object. s must be valid
// JSON (json.Valid): that is what lets this walk look at quotes, brackets and
// commas alone.
func eachMember(s string, fn func(name, value string)) (isObject bool) {
	i := modelSkipSpace(s, 0)
	if s[i] != '{' {
		return false
	}
	i = modelSkipSpace(s, i+1)
	for s[i] != '}' {
		nameEnd := modelSkipString(s, i)
		name := modelName(s[i:nameEnd])
		i = modelSkipSpace(s, nameEnd)
		start := modelSkipSpace(s, i+1) // past the colon
		end := modelSkipValue(s, start)
		fn(name, s[start:end])
		i = modelSkipSpace(s, end)
		if s[i] == ',' {
			i = modelSkipSpace(s, i+1)
		}
	}
	return true
}

// modelName returns what a quoted name says.
func modelName(quoted string) (name string) {
	_ = json.Unmarshal([]byte(quoted), &name) // valid, so it can't fail
	return name
}

func modelSkipSpace(s string, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\t' || s[i] == '\n' || s[i] == '\r') {
		i++
	}
	return i
}

// modelSkipString returns the index behind the string that opens at s[i].
func modelSkipString(s string, i int) int {
	for i++; s[i] != '"'; i++ {
		if s[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// modelSkipValue returns the index behind the value that begins at s[i].
func modelSkipValue(s string, i int) int {
	switch s[i] {
	case '"':
		return modelSkipString(s, i)
	case '{', '[':
		return modelSkipNested(s, i)
	}
	for i < len(s) && !endsScalar(s[i]) {
		i++
	}
	return i
}

func modelSkipNested(s string, i int) int {
	for depth := 0; ; {
		switch s[i] {
		case '"':
			i = modelSkipString(s, i)
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
