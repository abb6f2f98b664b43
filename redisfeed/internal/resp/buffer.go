package resp

import "runtime"

// Buffer keeps what was read and not yet parsed.
type Buffer struct {
	size       int
	buf        []byte
	start, end int  // of what is kept
	need       int  // bytes that the reply at start has at least
	given      bool // a reply has buf: nothing may be written to it any more
}

// collectFrom is from how many bytes on a message that was handed out is worth a collection: by itself the runtime would let the
// next one come first. Three of 100 MiB take 253 MiB so, and 416 otherwise.
const collectFrom = 16 << 20

// NewBuffer returns a Buffer that reads up to size bytes at a time. It grows while a reply is longer than that.
func NewBuffer(size int) *Buffer { return &Buffer{size: size, buf: make([]byte, size)} }

// Next returns the next complete reply. ok is false if there is none: Fill is next. The reply is valid until then; a Message
// longer than the Buffer was in the beginning has its memory from then on, and is valid for ever. After an error nothing more
// can be read.
func (b *Buffer) Next() (r Reply, ok bool, err error) {
	kept := b.buf[b.start:b.end]
	r, n, err := Parse(kept)
	if err != nil {
		return r, false, err
	}
	if n > len(kept) {
		b.need = n
		return Reply{}, false, nil
	}
	b.start += n
	if r.Kind == Message && len(r.both) > b.size {
		r.own, b.given = true, true
	}
	return r, true, nil
}

// Fill calls read once, with as much room as there is, and keeps what it brings. It returns what read returned, and whether
// there was no room for more.
func (b *Buffer) Fill(read func([]byte) (int, error)) (n int, full bool, err error) {
	b.makeRoom()
	n, err = read(b.buf[b.end:])
	b.end += n
	return n, b.end == len(b.buf), err
}

// makeRoom moves what is kept to the front. A reply that does not fit has the Buffer doubled: its announced length is
// believed only as far as it has come.
func (b *Buffer) makeRoom() {
	kept, into := b.buf[b.start:b.end], b.buf
	collect := b.given && len(b.buf) >= collectFrom
	switch {
	case b.given:
		into, b.given = make([]byte, b.size+len(kept)), false
	case len(kept) == len(b.buf):
		into = make([]byte, max(min(2*len(b.buf), b.need), len(b.buf)+b.size))
	case len(b.buf) > b.size && len(kept) <= b.size/2 && b.need <= b.size:
		into = make([]byte, b.size) // after a long reply the memory must go
	}
	copy(into, kept)
	b.buf, b.start, b.end = into, 0, len(kept)
	if collect {
		runtime.GC()
	}
}

// Unread returns what Next has not returned, which is valid until Fill.
func (b *Buffer) Unread() []byte { return b.buf[b.start:b.end] }

// Load puts what another Buffer had not returned into an empty one.
func (b *Buffer) Load(unread []byte) {
	if len(unread) > len(b.buf) {
		b.buf = make([]byte, len(unread))
	}
	b.start, b.end = 0, copy(b.buf, unread)
}
