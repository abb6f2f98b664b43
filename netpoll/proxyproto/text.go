package proxyproto

import (
	"bytes"
	"net/netip"
)

// word begins a header of version 1: PROXY TCP4 192.0.2.1 198.51.100.1 56324 443, CR LF.
const word = "PROXY"

// parseText reads a header of version 1 (section 2.1). b begins with word, as far as it goes.
func parseText(b []byte) (Header, Verdict) {
	line := b[:min(len(b), MaxText)]
	feed := bytes.IndexByte(line, '\n')
	switch {
	case feed < 0 && len(b) < MaxText:
		return Header{}, Incomplete
	// "If the CRLF sequence is not found in the first 107 characters, the receiver
	// should declare the line invalid." "The receiver must not tolerate a single CR or
	// LF character to end the line".
	case feed < 0 || line[feed-1] != '\r':
		return Header{}, Broken
	}
	source, ok := parseLine(line[:feed-1])
	if !ok {
		return Header{}, Broken
	}
	return Header{Source: source, Size: feed + 1}, Complete
}

// parseLine reads the line without its end. "Any sequence which does not exactly
// match the protocol must be discarded": one space between two fields, and no more fields.
func parseLine(line []byte) (source netip.AddrPort, ok bool) {
	first, rest, _ := cut(line, ' ')
	family, rest, _ := cut(rest, ' ')
	if string(first) != word {
		return source, false
	}
	switch string(family) {
	case "TCP4":
		return parseEnds(rest, parseIPv4)
	case "TCP6":
		return parseEnds(rest, parseIPv6)
	case "UNKNOWN":
		// "the receiver must ignore anything presented before the CRLF is found"
		return source, true
	}
	return source, false
}

// parseEnds reads source and destination address, source and destination port.
func parseEnds(rest []byte, parse func([]byte) (netip.Addr, bool)) (source netip.AddrPort, ok bool) {
	from, rest, _ := cut(rest, ' ')
	to, rest, _ := cut(rest, ' ')
	fromPort, toPort, _ := cut(rest, ' ')
	address, fine := parse(from)
	_, fineTo := parse(to)
	port, finePort := parsePort(fromPort)
	_, fineToPort := parsePort(toPort)
	return netip.AddrPortFrom(address.Unmap(), port), fine && fineTo && finePort && fineToPort
}

// parsePort reads 0 to 65535, without heading zeros.
func parsePort(text []byte) (port uint16, ok bool) {
	n, ok := parseDecimal(text, 65535)
	return uint16(n), ok
}

// parseDecimal reads digits, without heading zeros, up to a limit.
func parseDecimal(text []byte, limit uint32) (n uint32, ok bool) {
	if len(text) == 0 || len(text) > 5 || (text[0] == '0' && len(text) > 1) {
		return 0, false
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + uint32(c-'0')
	}
	return n, n <= limit
}
