package handshake

import "bytes"

// queryValue returns the decoded value of a parameter of a raw query, and how
// often the parameter came (the value is the last one's). ok is false when
// one of these values is not properly percent-encoded.
//
// The value aliases query unless it had to be decoded.
func queryValue(query []byte, name string) (value []byte, count int, ok bool) {
	ok = true
	for len(query) > 0 {
		var pair []byte
		pair, query, _ = bytes.Cut(query, []byte{'&'})
		key, raw, _ := bytes.Cut(pair, []byte{'='})
		if !decodesTo(key, name) {
			continue
		}
		var valid bool
		value, valid = unescape(raw)
		ok = ok && valid
		count++
	}
	return value, count, ok
}

// decodesTo compares an encoded key with a name, so that a second spelling of
// a parameter counts as the parameter.
func decodesTo(key []byte, name string) bool {
	if bytes.IndexByte(key, '%') < 0 {
		return string(key) == name
	}
	decoded, ok := unescape(key)
	return ok && string(decoded) == name
}

// unescape decodes a form-encoded value. It allocates only when there is
// something to decode.
func unescape(raw []byte) (decoded []byte, ok bool) {
	if bytes.IndexByte(raw, '%') < 0 && bytes.IndexByte(raw, '+') < 0 {
		return raw, true
	}
	decoded = make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; c {
		case '+':
			decoded = append(decoded, ' ')
		case '%':
			if i+2 >= len(raw) {
				return nil, false
			}
			high, low := unhex(raw[i+1]), unhex(raw[i+2])
			if high > 15 || low > 15 {
				return nil, false
			}
			decoded = append(decoded, high<<4|low)
			i += 2
		default:
			decoded = append(decoded, c)
		}
	}
	return decoded, true
}

// unhex returns the value of a hexadecimal digit, or 255.
func unhex(c byte) byte {
	switch c = lower(c); {
	case isDigit(c):
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	}
	return 255
}
