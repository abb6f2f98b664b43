package auth

// These functions return what follows the piece of JSON (RFC 8259) that b begins
// with. They are false where it is not well-formed, and where it is more than
// [object] wants to know.

// afterValue follows lists and objects nesting levels deep.
func afterValue(b []byte, nesting int) (rest []byte, ok bool) {
	if len(b) == 0 {
		return nil, false
	}
	switch b[0] {
	case '"':
		return afterString(b)
	case '{':
		return afterObject(b, nesting-1)
	case '[':
		return afterList(b, nesting-1)
	case 't':
		return afterWord(b, "true")
	case 'f':
		return afterWord(b, "false")
	case 'n':
		return afterWord(b, "null")
	}
	return afterInteger(b)
}

func afterObject(b []byte, nesting int) (rest []byte, ok bool) {
	if nesting < 0 {
		return nil, false
	}
	o := openObject(b, nesting)
	for o.next() {
	}
	return o.rest, o.closed
}

func afterList(b []byte, nesting int) (rest []byte, ok bool) {
	b = afterSpace(b[1:])
	if len(b) > 0 && b[0] == ']' {
		return b[1:], nesting >= 0
	}
	for nesting >= 0 {
		if b, ok = afterValue(b, nesting); !ok {
			break
		}
		if b = afterSpace(b); len(b) == 0 {
			break
		}
		if b[0] != ',' {
			return b[1:], b[0] == ']'
		}
		b = afterSpace(b[1:])
	}
	return nil, false
}

// afterString also lets bytes through that are not UTF-8, as encoding/json does.
func afterString(b []byte) (rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '"' {
		return nil, false
	}
	for i := 1; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			return b[i+1:], true
		case c == '\\':
			n := escapeLen(b[i:])
			if n == 0 {
				return nil, false
			}
			i += n - 1
		case c < ' ':
			return nil, false
		}
	}
	return nil, false
}

// escapeLen is the length of the escape that b begins with, 0 if it is none.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(b) >= 6 && max(unhex(b[2]), unhex(b[3]), unhex(b[4]), unhex(b[5])) < 16 {
			return 6
		}
	}
	return 0
}

func afterWord(b []byte, word string) (rest []byte, ok bool) {
	if len(b) < len(word) || string(b[:len(word)]) != word {
		return nil, false
	}
	return b[len(word):], true
}

// afterInteger stops before a fraction or an exponent, where no member or list
// can go on.
func afterInteger(b []byte) (rest []byte, ok bool) {
	if b[0] == '-' {
		b = b[1:]
	}
	n := 0
	for n < len(b) && isDigit(b[n]) {
		n++
	}
	if n == 0 || n > 1 && b[0] == '0' {
		return nil, false
	}
	return b[n:], true
}

func afterSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\n' || b[0] == '\r' || b[0] == '\t') {
		b = b[1:]
	}
	return b
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

// unhex returns the value of a hexadecimal digit, 16 or more for anything else.
func unhex(c byte) byte {
	switch {
	case isDigit(c):
		return c - '0'
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 16
}
