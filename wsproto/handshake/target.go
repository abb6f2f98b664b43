package handshake

import (
	"bytes"
	"net/netip"
)

// parseTarget reads a request target (RFC 9112 section 3.2): origin form,
// absolute form, or "*". All else is refused, also the
// authority form, which belongs to CONNECT.
func (h *head) parseTarget(target []byte) *Refusal {
	if len(target) == 0 || !targetChars.holds(target) {
		return refuseTarget
	}
	if target[0] != '/' && string(target) != "*" {
		var ok bool
		if h.host, target, ok = cutAuthority(target); !ok {
			return refuseTarget
		}
	}
	h.path, h.query, _ = bytes.Cut(target, []byte{'?'})
	return nil
}

// cutAuthority splits an absolute URI into its authority and what follows that. The schemes are http and https, and ws
// and wss, which some clients write behind a proxy: a server has to take the absolute form of its own resources (RFC 9112
// section 3.2.2), and /ws is one of a ws URI (RFC 6455 section 3).
func cutAuthority(uri []byte) (authority, rest []byte, ok bool) {
	scheme, rest, ok := bytes.Cut(uri, []byte("://"))
	if !ok || !equalFold(scheme, "http") && !equalFold(scheme, "https") && !equalFold(scheme, "ws") && !equalFold(scheme, "wss") {
		return nil, nil, false
	}
	end := bytes.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	return rest[:end], rest[end:], validAuthority(rest[:end])
}

// validAuthority accepts host [":" port] (RFC 9110 section 7.2), where host is a
// name or an address, and IPv6 stands in brackets. User information is refused.
func validAuthority(b []byte) bool {
	host, port, _ := cutPort(b)
	for _, c := range port {
		if !isDigit(c) {
			return false
		}
	}
	return validHost(host)
}

func validHost(host []byte) bool {
	if len(host) == 0 {
		return false
	}
	if host[0] != '[' {
		return hostChars.holds(host)
	}
	if host[len(host)-1] != ']' {
		return false
	}
	addr, err := netip.ParseAddr(string(host[1 : len(host)-1]))
	return err == nil && addr.Is6() && addr.Zone() == ""
}

// cutPort splits "host:port" at the colon that isn't part of an IPv6 address.
func cutPort(b []byte) (host, port []byte, found bool) {
	i := bytes.LastIndexByte(b, ':')
	if i < 0 || bytes.IndexByte(b[i:], ']') >= 0 {
		return b, nil, false
	}
	return b[:i], b[i+1:], true
}

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
