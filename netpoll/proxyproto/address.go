package proxyproto

import (
	"bytes"
	"net/netip"
)

// net/netip reads addresses from strings only, and making one allocates.

// parseIPv4 reads four numbers from 0 to 255 without heading zeros.
func parseIPv4(text []byte) (netip.Addr, bool) {
	var address [4]byte
	for i := range address {
		number, rest, more := cut(text, '.')
		n, ok := parseDecimal(number, 255)
		if !ok || more != (i < 3) {
			return netip.Addr{}, false
		}
		address[i], text = byte(n), rest
	}
	return netip.AddrFrom4(address), true
}

// parseIPv6 reads groups of one to four hexadecimal digits; "::", once, stands for
// one or more groups of zeros. The last two may be written as IPv4: so inet_ntop(3), with
// which proxies write, spells IPv4 in IPv6 (::ffff:192.0.2.1).
func parseIPv6(text []byte) (netip.Addr, bool) {
	var address, tail [16]byte
	gap := bytes.Index(text, []byte("::"))
	if gap < 0 {
		n, ok := parseGroups(text, &address, true)
		return netip.AddrFrom16(address), ok && n == len(address)
	}
	n, ok := parseGroups(text[:gap], &address, false)
	m, okTail := parseGroups(text[gap+2:], &tail, true)
	if !ok || !okTail || n+m > len(address)-2 {
		return netip.Addr{}, false
	}
	copy(address[len(address)-m:], tail[:m])
	return netip.AddrFrom16(address), true
}

// parseGroups reads groups between colons, none in an empty text, and returns how many bytes they are.
// last says whether the address ends with them, and so may end as IPv4.
func parseGroups(text []byte, into *[16]byte, last bool) (n int, ok bool) {
	for more := len(text) > 0; more; {
		var group []byte
		group, text, more = cut(text, ':')
		if last && !more && n <= len(into)-4 {
			if quad, ok := parseIPv4(group); ok {
				four := quad.As4()
				return n + copy(into[n:], four[:]), true
			}
		}
		value, ok := parseGroup(group)
		if !ok || n > len(into)-2 {
			return 0, false
		}
		into[n], into[n+1] = byte(value>>8), byte(value)
		n += 2
	}
	return n, true
}

func parseGroup(digits []byte) (value uint16, ok bool) {
	if len(digits) == 0 || len(digits) > 4 {
		return 0, false
	}
	for _, c := range digits {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		value = value<<4 | uint16(c)
	}
	return value, true
}
