package wsproto

import (
	"strconv"
)

// CloseCode is a status code of a close frame (RFC 6455 section 7.4 and IANA's
// WebSocket Close Code Number Registry). 0 stands for a close frame without one.
type CloseCode uint16

// Codes that Roost sends or is sent.
const (
	CloseNormal         CloseCode = 1000
	CloseGoingAway      CloseCode = 1001 // this instance leaves, or the page does
	CloseProtocolError  CloseCode = 1002
	CloseUnsupported    CloseCode = 1003
	CloseInvalidPayload CloseCode = 1007 // text that is not UTF-8
	ClosePolicy         CloseCode = 1008
	CloseTooBig         CloseCode = 1009
	CloseExtension      CloseCode = 1010 // sent by clients only
	CloseInternal       CloseCode = 1011
	CloseRestart        CloseCode = 1012 // the service restarts; clients may send it, Roost does not: see netpoll.Restarting
	CloseTryAgain       CloseCode = 1013 // overloaded; as the last one
	CloseBadGateway     CloseCode = 1014
)

// String returns the number.
func (c CloseCode) String() string { return strconv.Itoa(int(c)) }

// Valid reports whether the code may appear on the wire. 1004 has no meaning,
// 1005, 1006 and 1015 MUST NOT be sent (section 7.4.1), the others below 3000 are
// not assigned, those from 5000 on not defined (section 7.4.2).
func (c CloseCode) Valid() bool {
	switch {
	case c >= 3000:
		return c <= 4999
	case c >= CloseInvalidPayload:
		return c <= CloseBadGateway
	default:
		return c >= CloseNormal && c <= CloseUnsupported
	}
}

// Final reports whether a client that is told the code is to stay away: its own faults would only come again, and with 1000
// and codes from 3000 on a backend, or a limit, wants it so. Those that end an outage are not final: 1001, 4401 (a fresh
// token helps), 4408 and 4507 (notifications were lost), 4503 (no room now). client/roost.js has the same rule.
func (c CloseCode) Final() bool {
	switch c {
	case CloseNormal, CloseInvalidPayload, ClosePolicy, CloseTooBig:
		return true
	case 4401, 4408, 4503, 4507:
		return false
	}
	return c >= 3000
}

// ProtocolError is a rule that a client broke, and already holds the answer: what
// the close frame says. Shared, not to be modified.
//
// [Decoder.Next] returns the type itself and not an error, so that a nil stays a
// nil; convert with care.
type ProtocolError struct {
	Code CloseCode
	Text string // reason of the close frame, short enough for one
}

// Error implements error.
func (e *ProtocolError) Error() string { return e.Code.String() + ": " + e.Text }

// All that can be wrong with what a client sends. Never written.
var (
	errReservedBits      = violation("reserved bits set")
	errOpcode            = violation("reserved opcode")
	errControlFragmented = violation("fragmented control frame")
	errControlTooLong    = violation("control frame longer than 125 bytes")
	errMessageOpen       = violation("new message inside a fragmented one")
	errNoMessage         = violation("continuation of no message")
	errUnmasked          = violation("frame not masked")
	errLengthLonger      = violation("length not in its shortest form")
	errLengthRange       = violation("length out of range")
	errCloseBody         = violation("close frame with one byte")
	errCloseCode         = violation("close code not allowed")

	errCloseReason = &ProtocolError{CloseInvalidPayload, "close reason is not UTF-8"}
	errInvalidUTF8 = &ProtocolError{CloseInvalidPayload, "text is not UTF-8"}
	errTooBig      = &ProtocolError{CloseTooBig, "message too big"}
)

func violation(text string) *ProtocolError {
	return &ProtocolError{CloseProtocolError, text}
}
