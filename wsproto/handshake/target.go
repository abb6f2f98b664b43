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
