package rules

import (
	"encoding/binary"
	"strings"
)

// The parts of a frame's first two bytes.
const (
	fin    = 0x80
	cont   = 0x0
	text   = 0x1
	binry  = 0x2
	closes = 0x8
	ping   = 0x9
	pong   = 0xA
	masked = 0x80
)

// mask is the masking key of every frame. All its bytes differ, and none is 0.
const mask = "\x37\xfa\x21\x3d"

// frame is a masked frame with the shortest length.
func frame(first byte, payload string) string {
	switch n := len(payload); {
	case n < 126:
		return headed(first, string([]byte{masked | byte(n)}), payload)
	case n < 1<<16:
		return headed(first, long(126, uint64(n)), payload)
	default:
		return headed(first, long(127, uint64(n)), payload)
	}
}

// long is a length in 16 bits (kind 126) or in 64 (127), needed or not.
func long(kind byte, n uint64) string {
	if kind == 126 {
		return string(binary.BigEndian.AppendUint16([]byte{masked | 126}, uint16(n)))
	}
	return string(binary.BigEndian.AppendUint64([]byte{masked | 127}, n))
}

// headed is a masked frame whose length is written as given.
func headed(first byte, length, payload string) string {
	var b strings.Builder
	b.WriteByte(first)
	b.WriteString(length)
	b.WriteString(mask)
	for i := range len(payload) {
		b.WriteByte(payload[i] ^ mask[i%len(mask)])
	}
	return b.String()
}

// closing is a close frame.
func closing(code int, reason string) string {
	return frame(fin|closes, string(binary.BigEndian.AppendUint16(nil, uint16(code)))+reason)
}

// fill is text of n bytes.
func fill(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a' + byte(i%26)
	}
	return string(b)
}
