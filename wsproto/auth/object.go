package auth

import "bytes"

// maxNesting bounds how deep [object] follows lists and objects.
const maxNesting = 8

// object walks the members of a JSON object in place (RFC 8259). It knows less than
// JSON: it stops at escapes in names, at numbers that are not integers and at
// what nests deeper than maxNesting. That it stops says nothing about the text;
// that it comes to the end says that encoding/json reads the same members.
type object struct {
	name    []byte // of the latest member: what is between the quotes
	value   []byte // of the latest member: its text, without white space around it
	rest    []byte // what follows it
	nesting int    // how many levels more may open
	begun   bool   // there was a member
	closed  bool   // the end came, rest is what follows it
}

// openObject stands at the "{" that b begins with; without one the walk stops
// before it began.
func openObject(b []byte, nesting int) object {
	if len(b) == 0 || b[0] != '{' {
		return object{}
	}
	return object{rest: b[1:], nesting: nesting}
}

// next goes to the next member. It reports false when there is none, and where it
// stops.
func (o *object) next() bool {
	b := afterSpace(o.rest)
	switch {
	case len(b) == 0:
		return false
	case b[0] == '}':
		o.rest, o.closed = b[1:], true
		return false
	case !o.begun:
		o.begun = true
	case b[0] == ',':
		b = afterSpace(b[1:])
	default:
		return false
	}
	return o.read(b)
}

// read takes the member that b begins with.
func (o *object) read(b []byte) bool {
	rest, ok := afterString(b)
	if !ok {
		return false
	}
	o.name = b[1 : len(b)-len(rest)-1]
	rest = afterSpace(rest)
	if len(rest) == 0 || rest[0] != ':' || bytes.IndexByte(o.name, '\\') >= 0 {
		return false
	}
	b = afterSpace(rest[1:])
	if rest, ok = afterValue(b, o.nesting); !ok {
		return false
	}
	o.value, o.rest = b[:len(b)-len(rest)], rest
	return true
}

// complete reports whether the walk came to the end, and nothing is left.
func (o *object) complete() bool { return o.closed && len(afterSpace(o.rest)) == 0 }
