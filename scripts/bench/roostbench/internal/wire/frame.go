package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Opcode is a frame's kind (RFC 6455 section 5.2).
type Opcode byte

// The opcodes that there are.
const (
	Continuation Opcode = 0
	Text         Opcode = 1
	Binary       Opcode = 2
	Close        Opcode = 8
	Ping         Opcode = 9
	Pong         Opcode = 10
)

func (o Opcode) control() bool { return o >= Close }

// maxPayload is the longest payload that is believed.
const maxPayload = 1 << 20

// ErrFrame is wrapped by every error about what a server sent.
var ErrFrame = errors.New("broken frame")

// frame is one frame; its payload aliases the bytes that it was parsed from.
type frame struct {
	op      Opcode
	final   bool
	payload []byte
}

// parseFrame reads the frame at the start of buf and returns its length, or 0
// while it is incomplete.
func parseFrame(buf []byte) (frame, int, error) {
	if len(buf) < 2 {
		return frame{}, 0, nil
	}
	f := frame{op: Opcode(buf[0] & 0x0F), final: buf[0]&0x80 != 0}
	if err := checkStart(f, buf); err != nil {
		return frame{}, 0, err
	}
	head, size, err := frameSize(buf)
	if head == 0 || err != nil {
		return frame{}, 0, err
	}
	if len(buf) < head+size {
		return frame{}, 0, nil
	}
	f.payload = buf[head : head+size]
	return f, head + size, nil
}

// checkStart checks what the first two bytes say.
func checkStart(f frame, buf []byte) error {
	switch {
	case buf[0]&0x70 != 0: // 5.2: no extension was agreed on that gives them a meaning
		return fmt.Errorf("%w: reserved bits %#x", ErrFrame, buf[0]&0x70)
	case buf[1]&0x80 != 0: // 5.1: a server must not mask
		return fmt.Errorf("%w: masked", ErrFrame)
	case f.op > Pong || (f.op > Binary && f.op < Close):
		return fmt.Errorf("%w: opcode %d", ErrFrame, f.op)
	case f.op.control() && (!f.final || buf[1] > 125): // 5.5
		return fmt.Errorf("%w: control frame, final %t, length byte %d", ErrFrame, f.final, buf[1])
	}
	return nil
}

// frameSize returns how long head and payload are; head is 0 while that can't be
// said. Lengths must be written in the shortest form (5.2).
func frameSize(buf []byte) (head, size int, err error) {
	head, size = 2, int(buf[1])
	least := 0
	switch {
	case size == 126 && len(buf) < 4, size == 127 && len(buf) < 10:
		return 0, 0, nil
	case size == 126:
		head, size, least = 4, int(binary.BigEndian.Uint16(buf[2:])), 126
	case size == 127:
		long := binary.BigEndian.Uint64(buf[2:])
		if long > maxPayload {
			return 0, 0, fmt.Errorf("%w: %d bytes", ErrFrame, long)
		}
		head, size, least = 10, int(long), 1<<16
	}
	if size < least {
		return 0, 0, fmt.Errorf("%w: %d written in a form for %d and more", ErrFrame, size, least)
	}
	return head, size, nil
}

// AppendFrame appends a client's frame: final and masked. The mask hides nothing
// from anybody here; it has to be there and to differ.
func AppendFrame(dst []byte, op Opcode, payload []byte, mask uint32) []byte {
	if len(payload) > 125 {
		payload = payload[:125]
	}
	dst = append(dst, 0x80|byte(op), 0x80|byte(len(payload)))
	var key [4]byte
	binary.BigEndian.PutUint32(key[:], mask)
	dst = append(dst, key[:]...)
	for i, b := range payload {
		dst = append(dst, b^key[i%4])
	}
	return dst
}
