// Package proxyproto reads the header of the PROXY protocol, versions 1 and 2, with
// which a proxy says whose connection it passes on
// (https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt; sections named here
// are that text's).
//
// It is functions on bytes: no I/O, no allocation, no state. "Not complete yet" is an ordinary
// answer, and whoever asks again hands over the same bytes and more. This package does not decide
// whom to believe: a header says what its sender likes, so only bytes from trusted addresses are
// worth reading. Any goroutine.
package proxyproto

import (
	"bytes"
	"net/netip"
)

// Limits of a header, in bytes. A header that does not end within them is Broken.
const (
	// MaxText is the longest line of version 1, its CR LF included (section 2.1).
	MaxText = 107
	// MaxBinary is the longest header of version 2 that is read: 16 fixed bytes, and 4 KiB of
	// addresses and extensions. The format has room for 64 KiB, real headers have less than 3:
	// the largest extension is a client's certificate.
	MaxBinary = fixedSize + 4096
)

// Verdict says what bytes are.
type Verdict uint8

// The results of Parse. All but Incomplete are final: more bytes don't change them.
const (
	Incomplete Verdict = iota // the beginning of a header; more bytes are needed
	Complete                  // a header, and perhaps what comes behind it
	Missing                   // no header begins like this
	Broken                    // begins like a header and is not one
)

// Header is what a complete header says.
type Header struct {
	// Source is the client's address and port, an IPv4 address never mapped into IPv6. It is the
	// zero value where the header names no client that came over TCP: LOCAL (the proxy's own
	// connection, such as a health check), UNKNOWN, UDP, UNIX. Then the other end of the socket
	// is all that is known.
	Source netip.AddrPort
	// Size is how many bytes the header has. Behind them the proxied protocol begins.
	Size int
}

// Parse reads the header at the start of b. The Header has meaning only with Complete.
func Parse(b []byte) (Header, Verdict) {
	switch {
	case begins(b, signature):
		return parseBinary(b)
	case begins(b, word):
		return parseText(b)
	}
	return Header{}, Missing
}

// begins reports whether b begins with a mark, or may when more of it comes.
func begins(b []byte, mark string) bool {
	n := min(len(b), len(mark))
	return string(b[:n]) == mark[:n]
}

// AppendLocal appends the header of a connection that a proxy makes for itself (version 2, LOCAL).
func AppendLocal(dst []byte) []byte {
	return append(append(dst, signature...), version<<4|commandLocal, 0, 0, 0)
}

// cut splits b behind the first separator; ok is false without one.
func cut(b []byte, separator byte) (before, after []byte, ok bool) {
	if i := bytes.IndexByte(b, separator); i >= 0 {
		return b[:i], b[i+1:], true
	}
	return b, nil, false
}
