package handshake

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// ErrProxyPattern is wrapped by the error of [New] about a trusted proxy.
var ErrProxyPattern = errors.New("bad proxy address")

// maxForwarded is how many X-Forwarded-For fields of a head are looked at, the last ones: what
// is trusted stands at the end.
const maxForwarded = 4

// proxies is a compiled list of trusted proxies. Static after construction.
type proxies []netip.Prefix

// compileProxies compiles addresses and ranges (192.0.2.1, 10.0.0.0/8, 2001:db8::/32).
func compileProxies(list []string) (proxies, error) {
	var compiled proxies
	for _, text := range list {
		prefix, err := parseProxy(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("wsproto: %w %q: right are 192.0.2.1, 10.0.0.0/8 and 2001:db8::/32, without a zone", ErrProxyPattern, text)
		}
		compiled = append(compiled, prefix)
	}
	return compiled, nil
}

func parseProxy(text string) (netip.Prefix, error) {
	if !strings.Contains(text, "/") {
		address, err := netip.ParseAddr(text)
		if err != nil || address.Zone() != "" {
			return netip.Prefix{}, ErrProxyPattern
		}
		address = address.Unmap()
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil || prefix.Addr().Is4In6() {
		return netip.Prefix{}, ErrProxyPattern
	}
	return prefix.Masked(), nil
}

// trusts reports whether what an address reports is believed.
func (p proxies) trusts(address netip.Addr) bool {
	address = address.Unmap()
	return slices.ContainsFunc(p, func(prefix netip.Prefix) bool { return prefix.Contains(address) })
}

// forwardedFor keeps the last fields of X-Forwarded-For.
type forwardedFor struct {
	fields [maxForwarded][]byte
	n      int
}

func (f *forwardedFor) add(value []byte) {
	if f.n == maxForwarded {
		copy(f.fields[:], f.fields[1:])
		f.n--
	}
	f.fields[f.n] = value
	f.n++
}

// client returns the address of the client behind a peer that connected to us. Each proxy appends the address of its own
// peer, so the list is read from its end, while the proxy that reported an entry is trusted. The first address that is not
// trusted is the client's. An entry that is no address ends the walk, and the last known address counts.
func (p proxies) client(peer netip.Addr, reported *forwardedFor) netip.Addr {
	client := peer.Unmap()
	for i := reported.n - 1; i >= 0; i-- {
		list := reported.fields[i]
		for more := true; more; {
			if !p.trusts(client) {
				return client
			}
			var entry []byte
			entry, list, more = cutLast(list)
			address, ok := parseForwarded(trimSpace(entry))
			if !ok {
				return client
			}
			client = address
		}
	}
	return client
}

// cutLast cuts the last element off a comma list.
func cutLast(list []byte) (last, rest []byte, more bool) {
	i := bytes.LastIndexByte(list, ',')
	if i < 0 {
		return list, nil, false
	}
	return list[i+1:], list[:i], true
}

// longestForwarded is the longest spelling of an address with its port.
const longestForwarded = len("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535")

// parseForwarded reads an address, with or without a port: 192.0.2.1, 192.0.2.1:80, 2001:db8::1,
// [2001:db8::1], [2001:db8::1]:80.
func parseForwarded(entry []byte) (netip.Addr, bool) {
	if len(entry) == 0 || len(entry) > longestForwarded {
		return netip.Addr{}, false
	}
	text := string(entry)
	if text[0] == '[' && text[len(text)-1] == ']' {
		text = text[1 : len(text)-1]
	} else if text[0] == '[' || strings.Count(text, ":") == 1 {
		port, err := netip.ParseAddrPort(text)
		return port.Addr().Unmap(), err == nil && port.Addr().Zone() == ""
	}
	address, err := netip.ParseAddr(text)
	return address.Unmap(), err == nil && address.Zone() == ""
}

// Trusts reports whether an address is that of a trusted proxy.
func (u *Upgrader) Trusts(address netip.Addr) bool { return u.proxies.trusts(address) }

// Client returns the client's address for limits and log lines: that of the peer, or the one in X-Forwarded-For if the peer is a
// trusted proxy. The peer is the other end of the socket, or the address in its PROXY header. Call it before the head's buffer
// is used again. For the zero value of peer the result is the zero value.
func (u *Upgrader) Client(request *Request, peer netip.Addr) netip.Addr {
	return u.proxies.client(peer, &request.forwarded)
}
