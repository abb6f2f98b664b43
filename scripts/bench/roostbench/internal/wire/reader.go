package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

// Message is what a server said: a message or a control frame.
type Message struct {
	Op      Opcode // never Continuation
	Payload []byte // valid until the handler returns
	Code    uint16 // of Close; 1005 where there was none (RFC 6455 section 7.1.5)
}

// Reader joins what arrives in pieces to messages. The zero value is ready. It
// holds memory only in the middle of a frame or a message.
type Reader struct {
	rest   []byte // an incomplete frame
	parts  []byte // payloads of the message that is not complete
	partOp Opcode // its kind; 0 while there is none
	closed bool
}

// Read takes what arrived and hands each complete message to handle. It ends with
// the first error: its own, which wraps ErrFrame, or handle's.
func (r *Reader) Read(in []byte, handle func(Message) error) error {
	if len(r.rest) > 0 {
		r.rest = append(r.rest, in...)
		in = r.rest
	}
	for {
		f, n, err := parseFrame(in)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		in = in[n:]
		if err := r.frame(f, handle); err != nil {
			return err
		}
	}
	r.rest = bytes.Clone(in)
	if len(in) == 0 {
		r.rest = nil
	}
	return nil
}

func (r *Reader) frame(f frame, handle func(Message) error) error {
	switch {
	case r.closed:
		return fmt.Errorf("%w: a frame after the close frame", ErrFrame)
	case f.op == Close:
		return r.close(f.payload, handle)
	case f.op.control():
		return handle(Message{Op: f.op, Payload: f.payload})
	case (f.op == Continuation) != (r.partOp != 0): // 5.4
		return fmt.Errorf("%w: opcode %d while a message of kind %d is open", ErrFrame, f.op, r.partOp)
	case f.op != Continuation && f.final:
		return whole(Message{Op: f.op, Payload: f.payload}, handle)
	}
	if f.op != Continuation {
		r.partOp = f.op
	}
	if len(r.parts)+len(f.payload) > maxPayload {
		return fmt.Errorf("%w: a message of more than %d bytes", ErrFrame, maxPayload)
	}
	r.parts = append(r.parts, f.payload...)
	if !f.final {
		return nil
	}
	m := Message{Op: r.partOp, Payload: r.parts}
	r.parts, r.partOp = nil, 0
	return whole(m, handle)
}

// whole hands on a complete data message. Text is UTF-8 (8.1).
func whole(m Message, handle func(Message) error) error {
	if m.Op == Text && !utf8.Valid(m.Payload) {
		return fmt.Errorf("%w: text that is not UTF-8", ErrFrame)
	}
	return handle(m)
}

// close reads a close frame's body (5.5.1): nothing, or a code and UTF-8.
func (r *Reader) close(body []byte, handle func(Message) error) error {
	r.closed = true
	if len(body) == 0 {
		return handle(Message{Op: Close, Code: 1005})
	}
	if len(body) == 1 || !utf8.Valid(body[2:]) {
		return fmt.Errorf("%w: a close frame with a bad body", ErrFrame)
	}
	return handle(Message{Op: Close, Code: binary.BigEndian.Uint16(body), Payload: body[2:]})
}
