package proxyproto

import (
	"encoding/binary"
	"net/netip"
)

// Version 2 begins with a signature, chosen to be nonsense in other protocols, and has four bytes
// more in every header: version and command, family and transport, the length of the rest.
const (
	signature = "\r\n\r\n\x00\r\nQUIT\n"
	fixedSize = len(signature) + 4
)

const (
	version = 2

	commandLocal = 0
	commandProxy = 1

	overIPv4 = 0x11 // TCP
	overIPv6 = 0x21
)

// parseBinary reads a header of version 2 (section 2.2). b begins with the signature, as far as it goes.
// It judges each byte as soon as it has come.
//
// Data behind the addresses (extensions: TLS, a unique id, a checksum) is skipped, which a receiver may.
func parseBinary(b []byte) (Header, Verdict) {
	fixed := b[min(len(b), len(signature)):]
	if len(fixed) == 0 {
		return Header{}, Incomplete
	}
	command := fixed[0] & 0xf
	if fixed[0]>>4 != version || command > commandProxy {
		return Header{}, Broken
	}
	if len(fixed) == 1 {
		return Header{}, Incomplete
	}
	family := fixed[1]
	shortest, known := addressSize(family)
	if command == commandLocal {
		// "use the real connection endpoints and discard the protocol block including the
		// family which is ignored"
		shortest, known, family = 0, true, 0
	}
	if !known {
		return Header{}, Broken
	}
	if len(b) < fixedSize {
		return Header{}, Incomplete
	}
	length := int(binary.BigEndian.Uint16(fixed[2:]))
	switch size := fixedSize + length; {
	case length < shortest || size > MaxBinary:
		return Header{}, Broken
	case len(b) < size:
		return Header{}, Incomplete
	default:
		return Header{Source: sourceOf(family, b[fixedSize:size]), Size: size}, Complete
	}
}

// addressSize returns how many bytes the addresses of a family and transport have, and whether the
// two are among those that section 2.2 lists; receivers have to reject what is unspecified.
func addressSize(family byte) (size int, known bool) {
	switch family {
	case 0x00: // unknown to the sender
		return 0, true
	case overIPv4, 0x12: // TCP, UDP
		return 2*4 + 2*2, true
	case overIPv6, 0x22:
		return 2*16 + 2*2, true
	case 0x31, 0x32: // UNIX sockets
		return 2 * 108, true
	}
	return 0, false
}

// sourceOf returns the source address where it is one of TCP. Others can't be the
// origin of a connection here: they count as unknown, as section 2.2 has it for families that a
// receiver does not support.
func sourceOf(family byte, block []byte) netip.AddrPort {
	switch family {
	case overIPv4:
		address := netip.AddrFrom4([4]byte(block))
		return netip.AddrPortFrom(address, binary.BigEndian.Uint16(block[2*4:]))
	case overIPv6:
		address := netip.AddrFrom16([16]byte(block)).Unmap()
		return netip.AddrPortFrom(address, binary.BigEndian.Uint16(block[2*16:]))
	}
	return netip.AddrPort{}
}
