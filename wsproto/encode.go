package wsproto

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

const (
	finBit  = 0x80 // first byte: the last frame of its message
	rsvBits = 0x70 // first byte: reserved for extensions

	length16 = 126 // second byte: the length is in the next 2 bytes
	length64 = 127 // second byte: the length is in the next 8 bytes

	// maxReason is what a control frame leaves for the reason beside the code
	// (RFC 6455 section 5.5).
	maxReason = ws.MaxControlFramePayloadSize - 2
)

// Full to its capacity, so that appending to it copies.
var pingFrame = []byte{finBit | byte(ws.OpPing), 0}

// Ping returns the ping that Roost sends: without a payload. It is shared and
// must not be modified.
func Ping() []byte { return pingFrame }

// AppendPong appends a pong with the payload of the ping that it answers, at most
// 125 bytes, as a [Decoder] gives it.
func AppendPong(dst, payload []byte) []byte {
	payload = payload[:min(len(payload), ws.MaxControlFramePayloadSize)]
	dst = append(dst, finBit|byte(ws.OpPong), byte(len(payload)))
	return append(dst, payload...)
}

// AppendClose appends a close frame. The reason is cut between runes to the 123
// bytes that fit; what isn't UTF-8 in it is left out. A code that may not appear
// on the wire, such as 0, makes a frame without code and reason.
func AppendClose(dst []byte, code CloseCode, reason string) []byte {
	if !code.Valid() {
		return append(dst, finBit|byte(ws.OpClose), 0)
	}
	reason = cutReason(reason)
	dst = append(dst, finBit|byte(ws.OpClose), byte(2+len(reason)))
	dst = binary.BigEndian.AppendUint16(dst, uint16(code))
	return append(dst, reason...)
}

// beforeID comes between the reason of a close frame and a position.
const beforeID = " id="

// AppendCloseAt is [AppendClose] for a client that is told up to where it has everything: the reason ends with " id=" and the
// position, where there is one and room for it beside the text.
func AppendCloseAt(dst []byte, code CloseCode, reason, id string) []byte {
	if id != "" && len(reason)+len(beforeID)+len(id) <= maxReason {
		reason += beforeID + id
	}
	return AppendClose(dst, code, reason)
}

func cutReason(reason string) string {
	if !utf8.ValidString(reason) {
		reason = strings.ToValidUTF8(reason, "")
	}
	if len(reason) <= maxReason {
		return reason
	}
	end := maxReason
	for !utf8.RuneStart(reason[end]) {
		end--
	}
	return reason[:end]
}

// TextHeaderSize is how many bytes [AppendTextHeader] appends.
func TextHeaderSize(payloadLen int) int {
	switch {
	case payloadLen < length16:
		return 2
	case payloadLen <= 0xffff:
		return 4
	}
	return 10
}

// AppendTextHeader appends the header of a text message in one frame; the caller
// appends payloadLen bytes of valid UTF-8 behind it.
func AppendTextHeader(dst []byte, payloadLen int) []byte {
	const first = finBit | byte(ws.OpText)
	switch TextHeaderSize(payloadLen) {
	case 2:
		return append(dst, first, byte(payloadLen))
	case 4:
		dst = append(dst, first, length16)
		return binary.BigEndian.AppendUint16(dst, uint16(payloadLen))
	}
	dst = append(dst, first, length64)
	return binary.BigEndian.AppendUint64(dst, uint64(payloadLen))
}
