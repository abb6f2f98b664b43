// Package iplimit says what an address is where fairness goes by addresses, and counts
// connections by them.
package iplimit

import (
	"encoding/binary"
	"net/netip"
)

// Source is what fairness goes by: an IPv4 address, or the first 64 bits of an IPv6
// one, which is what one subscriber has. 0 is an address that is not known.
//
// Behind a trusted proxy it is that of the client whom the proxy names, from when it
// has done so. Behind other proxies all clients are one source, as behind a NAT.
type Source uint64

// SourceOf returns an address's source. IPv4 gets numbers that are the start of no
// IPv6 address in use.
func SourceOf(address netip.Addr) Source {
	if address = address.Unmap(); address.Is4() {
		b := address.As4()
		return 0xffff<<32 | Source(binary.BigEndian.Uint32(b[:]))
	}
	b := address.As16()
	return Source(binary.BigEndian.Uint64(b[:8]))
}
