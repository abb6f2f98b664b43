package wsproto

import (
	"errors"
	"math"

	"roost/internal/wirecodec"
)

// AppendState appends where a decoder stands that is not Idle, for another process that goes on with the client's bytes.
func (d *Decoder) AppendState(dst []byte) []byte {
	dst = wirecodec.AppendUint(dst, uint64(d.left))
	dst = wirecodec.AppendUint(dst, uint64(d.size))
	dst = wirecodec.AppendBytes(dst, d.head.bytes[:d.head.n])
	dst = wirecodec.AppendBytes(dst, d.text.tail[:d.text.n])
	pos, control := d.pos, []byte(nil)
	switch {
	case !d.payload:
		pos = 0 // of the frame before
	case d.head.opcode().IsControl() && d.control != nil:
		control = d.control[:d.pos]
	}
	dst = wirecodec.AppendUint(dst, uint64(pos))
	dst = wirecodec.AppendBool(dst, d.payload)
	dst = wirecodec.AppendBool(dst, d.open)
	dst = wirecodec.AppendBool(dst, d.isText)
	dst = wirecodec.AppendBool(dst, d.ended)
	dst = wirecodec.AppendUint(dst, uint64(d.asking))
	dst = wirecodec.AppendBytes(dst, control)
	if !d.asking.renews() { // as releases had it that renew no token
		return dst
	}
	if d.auth == nil {
		return wirecodec.AppendBytes(dst, nil)
	}
	return wirecodec.AppendBytes(dst, d.auth.kept)
}

// errState is wrapped by the error of a state that no decoder can have.
var errState = errors.New("no decoder can stand here")

// ReadState reads what AppendState wrote. Errors are the reader's; then the decoder is idle.
func (d *Decoder) ReadState(r *wirecodec.Reader) {
	*d = Decoder{left: int64(r.Uint(math.MaxInt64)), size: int64(r.Uint(math.MaxInt64))}
	d.head.n = uint8(copy(d.head.bytes[:], r.Bytes(maxHeadLen)))
	d.text.n = uint8(copy(d.text.tail[:], r.Bytes(len(d.text.tail))))
	d.pos = uint8(r.Uint(math.MaxUint8))
	d.payload, d.open, d.isText, d.ended = r.Bool(), r.Bool(), r.Bool(), r.Bool()
	d.asking = textMatch(r.Uint(uint64(textNeither)))
	control := r.Bytes(len(d.control))
	if len(control) > 0 {
		d.control = new([len(d.control)]byte)
		copy(d.control[:], control)
	}
	if d.asking.renews() {
		if kept := r.Bytes(MaxAuth); len(kept) > 0 {
			d.auth = &authText{append([]byte(nil), kept...)}
		}
	}
	if r.Err() == nil && (!d.possible() || d.control != nil && len(control) != int(d.pos)) {
		_ = r.Fail(errState)
	}
	if r.Err() != nil {
		*d = Decoder{}
	}
}

// possible reports whether nothing that Next does from here on can go out of bounds.
func (d *Decoder) possible() bool {
	inControl := d.head.n > 0 && d.head.opcode().IsControl()
	kept := 0
	if d.control != nil {
		kept = int(d.pos)
	}
	switch {
	case d.payload != d.head.complete(), !d.payload && d.pos != 0:
		return false
	case d.head.n >= 2 && int(d.head.n) > d.head.lengthEnd()+maskSize:
		return false
	case !d.asking.possible(), d.asking.renews() && !(d.open && d.isText):
		return false
	case inControl && d.left > int64(len(d.control)-kept):
		return false
	case inControl && d.payload:
		return int(d.pos) == kept
	}
	return d.pos < 4 && d.control == nil
}
