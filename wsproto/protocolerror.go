package wsproto

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
