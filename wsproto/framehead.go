package wsproto

import (
	"encoding/binary"
	"math"

	"github.com/gobwas/ws"
)

const (
	maskBit    = 0x80 // second byte: the payload is masked
	length7    = 0x7f // second byte: the length, or where it is
	maskSize   = 4
	maxHeadLen = 14 // 2 bytes, 8 of length, 4 of mask
)

// frameHead collects the head of a client's frame (RFC 6455 section 5.2).
type frameHead struct {
	bytes [maxHeadLen]byte
	n     uint8 // bytes so far
}

// add takes the next byte. Check the head before adding more.
func (h *frameHead) add(b byte) {
	h.bytes[h.n] = b
	h.n++
}

// lengthKnown reports whether the latest byte ended the length.
func (h *frameHead) lengthKnown() bool { return h.n >= 2 && int(h.n) == h.lengthEnd() }

func (h *frameHead) complete() bool { return h.n >= 2 && int(h.n) == h.lengthEnd()+maskSize }

// lengthEnd is where the length ends and the mask begins.
func (h *frameHead) lengthEnd() int {
	switch h.bytes[1] & length7 {
	case length16:
		return 4
	case length64:
		return 10
	}
	return 2
}

func (h *frameHead) fin() bool         { return h.bytes[0]&finBit != 0 }
func (h *frameHead) opcode() ws.OpCode { return ws.OpCode(h.bytes[0] & 0x0f) }

func (h *frameHead) mask() [maskSize]byte {
	return [maskSize]byte(h.bytes[h.lengthEnd():])
}

// check checks what the latest byte made known, except the length. open says that
// a message has begun and not ended.
func (h *frameHead) check(open bool) *ProtocolError {
	switch h.n {
	case 1:
		return h.checkFirst(open)
	case 2:
		return h.checkSecond()
	}
	return nil
}

func (h *frameHead) checkFirst(open bool) *ProtocolError {
	opcode := h.opcode()
	switch {
	// Section 5.2: RSV bits "MUST be 0 unless an extension is negotiated".
	case h.bytes[0]&rsvBits != 0:
		return errReservedBits
	// Section 5.2: "If an unknown opcode is received, the receiving endpoint
	// MUST _Fail the WebSocket Connection_."
	case opcode.IsReserved():
		return errOpcode
	// Section 5.5: control frames "MUST NOT be fragmented".
	case opcode.IsControl() && !h.fin():
		return errControlFragmented
	case opcode.IsControl():
		return nil
	// Section 5.4: fragments of one message follow each other, and only they
	// are continuations.
	case open && opcode != ws.OpContinuation:
		return errMessageOpen
	case !open && opcode == ws.OpContinuation:
		return errNoMessage
	}
	return nil
}

func (h *frameHead) checkSecond() *ProtocolError {
	switch {
	// Section 5.1: "The server MUST close the connection upon receiving a
	// frame that is not masked."
	case h.bytes[1]&maskBit == 0:
		return errUnmasked
	// Section 5.5: control frames "MUST have a payload length of 125 bytes or
	// less".
	case h.opcode().IsControl() && h.bytes[1]&length7 > ws.MaxControlFramePayloadSize:
		return errControlTooLong
	}
	return nil
}

// length checks and returns the payload length.
//
// Section 5.2: "the minimal number of bytes MUST be used to encode the length",
// and of 64 bits "the most significant bit MUST be 0".
func (h *frameHead) length() (int64, *ProtocolError) {
	var length, least uint64
	switch h.lengthEnd() {
	case 2:
		return int64(h.bytes[1] & length7), nil
	case 4:
		length, least = uint64(binary.BigEndian.Uint16(h.bytes[2:])), length16
	default:
		length, least = binary.BigEndian.Uint64(h.bytes[2:]), math.MaxUint16+1
	}
	switch {
	case length > math.MaxInt64:
		return 0, errLengthRange
	case length < least:
		return 0, errLengthLonger
	}
	return int64(length), nil
}
