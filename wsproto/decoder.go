package wsproto

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// EventKind is what [Decoder.Next] found.
type EventKind uint8

// The kinds of event.
const (
	EventNone     EventKind = iota // all of the input is consumed, nothing is complete
	EventFragment                  // a frame ended, and its message has not
	EventMessage                   // a text or binary message ended
	EventPing                      // to be answered with a pong of the same payload
	EventPong                      //
	EventClose                     // to be answered with a close frame; nothing follows
)

// Event is one complete thing that a client sent.
type Event struct {
	Kind     EventKind
	Text     bool      // EventMessage: text, not binary
	TextPing bool      // EventMessage: the text is {"type":"ping"}, to be answered with [TextPong]
	Auth     bool      // EventMessage: the text begins with {"type":"auth", and Payload is what is behind that, see [AuthToken]
	Code     CloseCode // EventClose: 0 when the frame had none
	Size     int       // EventMessage: bytes of the message, all fragments together
	Payload  []byte    // EventPing, EventPong, and with Auth: valid until the next call and while the input is
	Reason   []byte    // EventClose: valid UTF-8, as long as Payload
}

// Decoder reads what a client sends, split anywhere. The zero value is ready. Owned
// by the connection's loop, not for concurrent use. It keeps no payload except that of a
// control frame that comes in pieces (at most 125 bytes), and of a message that renews a token and comes in pieces
// (Limits.Auth); it can be forgotten whenever it is [Decoder.Idle].
type Decoder struct {
	left    int64                                // payload bytes of this frame still to come
	size    int64                                // bytes of the open message so far
	control *[ws.MaxControlFramePayloadSize]byte // payload of a control frame in pieces, nil until needed
	auth    *authText                            // nil unless a message that renews a token is open, in pieces
	head    frameHead
	text    utf8Check // of the open message, if it is text
	pos     uint8     // payload bytes of this frame so far modulo 4; for control frames their number
	payload bool      // the head is complete, payload follows
	open    bool      // a message has begun and not ended
	isText  bool      // the open message is text
	ended   bool      // after a close frame or an error
	asking  textMatch // what the open message asks for, if it is text
}

// Idle reports whether the decoder stands between frames with no message open, so
// that a new decoder would go on as well as this one. It is false for ever after a
// close frame or an error.
func (d *Decoder) Idle() bool {
	return !d.ended && !d.open && !d.payload && d.head.n == 0
}

// Next takes bytes up to the next event and returns what is behind them; call it
// again with the rest until the event is of kind [EventNone]. in is overwritten: it
// is unmasked in place. maxMessage bounds a message in bytes, fragments counted
// together; 0 is no bound. After a close frame or an error everything is accepted
// and ignored (RFC 6455 sections 5.5.1 and 7.1.7).
func (d *Decoder) Next(in []byte, maxMessage int) (event Event, rest []byte, err *ProtocolError) {
	return d.NextWithin(in, Limits{Message: maxMessage})
}

// NextWithin is Next for a connection that may renew its token. Its limits stay what they are, but that Auth may become 0.
func (d *Decoder) NextWithin(in []byte, limits Limits) (event Event, rest []byte, err *ProtocolError) {
	if d.ended {
		return Event{}, nil, nil
	}
	for {
		if !d.payload {
			if in, err = d.readHead(in, limits); err != nil {
				return d.fail(err)
			}
			if !d.payload {
				return Event{}, nil, nil
			}
		}
		n := min(d.left, int64(len(in)))
		piece := in[:n]
		in = in[n:]
		if event, err = d.readPayload(piece, limits); err != nil {
			return d.fail(err)
		}
		if event.Kind != EventNone {
			return event, in, nil
		}
		if len(in) == 0 {
			return Event{}, nil, nil
		}
	}
}

func (d *Decoder) fail(err *ProtocolError) (Event, []byte, *ProtocolError) {
	d.ended, d.auth = true, nil
	return Event{}, nil, err
}

// readHead takes bytes of a frame's head, checks each as it comes, and sets up
// the payload when the head is complete.
func (d *Decoder) readHead(in []byte, limits Limits) (rest []byte, err *ProtocolError) {
	for i, b := range in {
		d.head.add(b)
		if err := d.head.check(d.open); err != nil {
			return nil, err
		}
		if d.head.lengthKnown() {
			if err := d.setLength(limits); err != nil {
				return nil, err
			}
		}
		if d.head.complete() {
			d.begin()
			return in[i+1:], nil
		}
	}
	return nil, nil
}

// setLength takes the payload length from the head, once the head has it.
func (d *Decoder) setLength(limits Limits) *ProtocolError {
	length, err := d.head.length()
	if err != nil {
		return err
	}
	if d.head.opcode().IsData() && (limits.Message > 0 && length > int64(limits.Message)-d.size || d.asking.renews()) {
		if most := d.mostOf(limits); most > 0 && length > int64(most)-d.size {
			return errTooBig
		}
	}
	d.left = length
	return nil
}

// mostOf bounds the message of the frame whose head has come. It may not be known yet what the message asks for.
func (d *Decoder) mostOf(limits Limits) int {
	isText := d.isText || d.head.opcode() == ws.OpText
	switch {
	case limits.Auth == 0 || !isText || !d.mayRenew():
		return limits.Message
	case d.asking.renews():
		return limits.Auth
	case limits.Message == 0:
		return 0
	}
	return max(limits.Message, limits.Auth)
}

// begin prepares for the payload of the frame whose head is complete.
func (d *Decoder) begin() {
	d.payload = true
	d.pos = 0
	if opcode := d.head.opcode(); opcode == ws.OpText || opcode == ws.OpBinary {
		d.open = true
		d.isText = opcode == ws.OpText
	}
}

// readPayload takes the next piece of a frame's payload, which may be empty, and
// ends the frame when it is the last.
func (d *Decoder) readPayload(piece []byte, limits Limits) (Event, *ProtocolError) {
	ws.Cipher(piece, d.head.mask(), int(d.pos))
	d.left -= int64(len(piece))
	if d.head.opcode().IsControl() {
		return d.readControl(piece)
	}
	d.pos = uint8((int(d.pos) + len(piece)) % 4)
	d.size += int64(len(piece))
	var auth []byte
	if d.isText {
		if !d.text.write(piece) {
			return Event{}, errInvalidUTF8
		}
		if auth = d.asking.write(piece); d.asking.renews() || limits.Message > 0 && d.size+d.left > int64(limits.Message) {
			var err *ProtocolError
			if auth, err = d.readAuth(auth, limits); err != nil {
				return Event{}, err
			}
		}
	}
	if d.left > 0 {
		return Event{}, nil
	}
	return d.endFrame(auth, limits)
}

// endFrame ends a frame. auth is what came of a message that renews a token, if nothing of it is kept.
func (d *Decoder) endFrame(auth []byte, limits Limits) (Event, *ProtocolError) {
	fin := d.head.fin()
	d.nextFrame()
	if !fin {
		return Event{Kind: EventFragment}, nil
	}
	if !d.text.complete() {
		return Event{}, errInvalidUTF8
	}
	if limits.Message > 0 && d.size > int64(limits.Message) && !d.asking.renews() {
		return Event{}, errTooBig // it might have become longer
	}
	event := Event{Kind: EventMessage, Size: int(d.size), Text: d.isText, TextPing: d.asking.isPing()}
	if limits.Auth > 0 && d.asking.renews() {
		if event.Auth, event.Payload = true, auth; d.auth != nil {
			event.Payload = d.auth.kept
		}
	}
	d.open, d.isText, d.size, d.asking, d.auth = false, false, 0, 0, nil
	return event, nil
}

func (d *Decoder) nextFrame() {
	d.payload = false
	d.head = frameHead{}
}

// readControl collects a control frame. A frame that came whole isn't copied.
func (d *Decoder) readControl(piece []byte) (Event, *ProtocolError) {
	if d.left > 0 || d.pos > 0 {
		if d.control == nil {
			d.control = new([ws.MaxControlFramePayloadSize]byte)
		}
		d.pos += uint8(copy(d.control[d.pos:], piece))
		piece = d.control[:d.pos]
	}
	if d.left > 0 {
		return Event{}, nil
	}
	opcode := d.head.opcode()
	d.nextFrame()
	switch opcode {
	case ws.OpPing:
		return Event{Kind: EventPing, Payload: piece}, nil
	case ws.OpPong:
		return Event{Kind: EventPong, Payload: piece}, nil
	}
	return d.readClose(piece)
}

// readClose reads the body of a close frame (RFC 6455 section 5.5.1).
func (d *Decoder) readClose(body []byte) (Event, *ProtocolError) {
	if len(body) == 1 {
		return Event{}, errCloseBody
	}
	event := Event{Kind: EventClose}
	if len(body) > 0 {
		event.Code = CloseCode(binary.BigEndian.Uint16(body))
		event.Reason = body[2:]
		if !event.Code.Valid() {
			return Event{}, errCloseCode
		}
		if !utf8.Valid(event.Reason) {
			return Event{}, errCloseReason
		}
	}
	d.ended = true
	return event, nil
}
