package tlshandshake

import (
	"bytes"
	"errors"

	"roost/netpoll/internal/tlsrecord"
)

const (
	headerLen = 5

	typeChangeCipherSpec = 20
	typeAlert            = 21
	typeHandshake        = 22
	typeApplicationData  = 23

	messageClientHello = 1
	messageFinished    = 20
	messageHash        = 254

	// maxHello is how long a ClientHello may be. With a key of ML-KEM and a ticket they have 2 KB.
	maxHello = 1 << 14

	// maxHelloWire is how many bytes may come before the ClientHello is complete: it can be cut into many records.
	maxHelloWire = 2 * maxHello
)

var (
	// ErrHTTP means that the client speaks HTTP without TLS: answer it so, and say https.
	ErrHTTP = errors.New("tls: an HTTP request without TLS")

	// ErrNotTLS means that what came is no ClientHello of TLS. There is nothing to answer.
	ErrNotTLS = errors.New("tls: not a ClientHello")
)

// scan finds the end of a ClientHello, however it is cut, without looking at a byte twice.
type scan struct {
	start int     // where the first record began
	pos   int     // where the next one begins
	have  int     // bytes of the message so far, its header included
	head  [4]byte // its header
}

// find reports how many bytes of b are the records up to the end of the message, and 0 while it is incomplete.
// b is the same as in the call before, with more after it.
func (s *scan) find(b []byte, again bool) (int, error) {
	for {
		rest := b[s.pos:]
		if err := looksLikeHello(rest, s.have, again); err != nil {
			return 0, err
		}
		if s.pos-s.start > maxHelloWire {
			return 0, tlsrecord.Violation(tlsrecord.AlertIllegalParameter, "a ClientHello in too many records")
		}
		if len(rest) < headerLen {
			return 0, nil
		}
		n := int(rest[3])<<8 | int(rest[4])
		switch {
		case rest[0] == typeChangeCipherSpec && n != 1, n == 0:
			return 0, tlsrecord.Violation(tlsrecord.AlertUnexpectedMessage, "an empty record before the end of the ClientHello")
		case n > maxHello:
			return 0, tlsrecord.Violation(tlsrecord.AlertRecordOverflow, "a first record that is too long")
		case len(rest) < headerLen+n:
			return 0, nil
		}
		s.pos += headerLen + n
		if rest[0] == typeChangeCipherSpec {
			continue
		}
		content := rest[headerLen : headerLen+n]
		if s.have < len(s.head) {
			copy(s.head[s.have:], content)
		}
		s.have += n
		if s.have < len(s.head) {
			continue
		}
		switch size := len(s.head) + int(s.head[1])<<16 + int(s.head[2])<<8 + int(s.head[3]); {
		case s.head[0] != messageClientHello:
			return 0, tlsrecord.Violation(tlsrecord.AlertUnexpectedMessage, "a handshake that begins with another message than ClientHello")
		case size > maxHello:
			return 0, tlsrecord.Violation(tlsrecord.AlertIllegalParameter, "a ClientHello that is too long")
		case s.have >= size:
			return s.pos, nil
		}
	}
}

// looksLikeHello judges by as few bytes as there are, so that what is not TLS is not waited for.
func looksLikeHello(b []byte, have int, again bool) error {
	switch {
	case len(b) == 0:
		return nil
	case again && have == 0 && b[0] == typeChangeCipherSpec:
		return nil // RFC 8446 appendix D.4: before the second ClientHello
	case b[0] != typeHandshake && (have > 0 || again):
		return tlsrecord.Violation(tlsrecord.AlertUnexpectedMessage, "another record where a ClientHello has to be")
	case b[0] != typeHandshake:
		if looksLikeHTTP(b) {
			return ErrHTTP
		}
		return ErrNotTLS
	case len(b) > 1 && b[1] != 3: // the major version is 3 since SSL 3.0
		return ErrNotTLS
	}
	return nil
}

// looksLikeHTTP goes by the first letters: a method is in capitals.
func looksLikeHTTP(b []byte) bool {
	method, _, _ := bytes.Cut(b[:min(len(b), 8)], []byte(" "))
	for _, c := range method {
		if c < 'A' || c > 'Z' {
			return false
		}
	}
	return len(method) > 0
}

// plainAlert is a fatal alert before there are keys.
func plainAlert(a tlsrecord.Alert) []byte { return []byte{typeAlert, 3, 3, 0, 2, 2, byte(a)} }

// completeRecord is how long the record at the start of b is, with its header, and 0 while it is not complete.
func completeRecord(b []byte) int {
	if len(b) < headerLen {
		return 0
	}
	if n := headerLen + int(b[3])<<8 + int(b[4]); len(b) >= n {
		return n
	}
	return 0
}
