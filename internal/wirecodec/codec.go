// Package wirecodec is how a process writes down its state for the one that takes over from it: integers in as few bytes as they need
// (those of encoding/binary's Uvarint), bytes behind their length, nothing else. There are no tags and no types: who reads a
// section knows its version, and with that its fields.
//
// The Append functions append to a slice and never fail. A Reader never panics, never reads beyond its input and allocates nothing on
// the word of a length that the input does not have: what it is given may be of another release, or cut off. Each value has
// one encoding, and others are errors, so that what was decoded encodes to the same bytes again.
package wirecodec

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// AppendUint appends a number that is not negative.
func AppendUint(dst []byte, v uint64) []byte { return binary.AppendUvarint(dst, v) }

// AppendInt appends a number that may be negative; a time.Duration too.
func AppendInt(dst []byte, v int64) []byte { return binary.AppendVarint(dst, v) }

// AppendBool appends 1 or 0.
func AppendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, 1)
	}
	return append(dst, 0)
}

// AppendBytes appends the length of b, and b. A nil b is read back as an empty one.
func AppendBytes(dst, b []byte) []byte { return append(AppendUint(dst, uint64(len(b))), b...) }

// AppendString appends the length of s, and s.
func AppendString(dst []byte, s string) []byte { return append(AppendUint(dst, uint64(len(s))), s...) }

// The errors of a Reader, wrapped with what was read and where.
var (
	ErrShort  = errors.New("the input ends too early")
	ErrRange  = errors.New("out of range")
	ErrFormat = errors.New("not how this is written")
	ErrRest   = errors.New("there is more than there should be")
)

// Reader reads what the Append functions have written. The first error stays: from then on everything is read as zero, so that a caller
// may check Err once, behind its last field, as long as it loops over Count or checks Err in its loops. One goroutine at a time.
type Reader struct {
	b   []byte // what is left
	at  int    // bytes that were read
	err error
}

// NewReader reads b, which the caller doesn't change meanwhile.
func NewReader(b []byte) *Reader { return &Reader{b: b} }

// Err returns the first error, nil if there was none.
func (r *Reader) Err() error { return r.err }

// Len returns how many bytes are left to read; 0 after an error.
func (r *Reader) Len() int { return len(r.b) }

// Done returns the first error, or ErrRest if something is left.
func (r *Reader) Done() error {
	if len(r.b) > 0 {
		r.Fail(fmt.Errorf("%w: %d bytes", ErrRest, len(r.b)))
	}
	return r.err
}

// Fail ends reading with an error of a caller that found an impossible value. It returns the first error.
func (r *Reader) Fail(err error) error {
	if r.err == nil {
		r.err = fmt.Errorf("at byte %d: %w", r.at, err)
		r.b = nil
	}
	return r.err
}

// Uint reads a number of most at most.
func (r *Reader) Uint(most uint64) uint64 {
	v, n := binary.Uvarint(r.b)
	if !r.took(n) {
		return 0
	}
	if v > most {
		r.Fail(fmt.Errorf("%w: %d is more than %d", ErrRange, v, most))
		return 0
	}
	return v
}

// Int reads a number between least and most.
func (r *Reader) Int(least, most int64) int64 {
	v, n := binary.Varint(r.b)
	if !r.took(n) {
		return 0
	}
	if v < least || v > most {
		r.Fail(fmt.Errorf("%w: %d is not in %d to %d", ErrRange, v, least, most))
		return 0
	}
	return v
}

// took goes on behind a number of n bytes, as encoding/binary returns them. It is false where there was none.
func (r *Reader) took(n int) bool {
	switch {
	case r.err != nil:
		return false
	case n == 0:
		r.Fail(ErrShort)
		return false
	case n < 0, n > 1 && r.b[n-1] == 0: // longer than 64 bits, or than needed
		r.Fail(ErrFormat)
		return false
	}
	r.skip(n)
	return true
}

func (r *Reader) skip(n int) { r.b, r.at = r.b[n:], r.at+n }

// Bool reads what AppendBool wrote.
func (r *Reader) Bool() bool { return r.Uint(1) == 1 }

// Bytes reads bytes, most at most. They are a part of the input: the caller copies what it keeps.
func (r *Reader) Bytes(most int) []byte {
	n := r.Uint(uint64(most))
	if n > uint64(len(r.b)) {
		r.Fail(ErrShort)
		return nil
	}
	b := r.b[:n:n]
	r.skip(int(n))
	return b
}

// Raw reads n bytes that have no length before them. They are a part of the input.
func (r *Reader) Raw(n int) []byte {
	if n > len(r.b) {
		_ = r.Fail(ErrShort)
		return nil
	}
	b := r.b[:n:n]
	r.skip(n)
	return b
}

// String reads a string of most bytes at most, and copies it.
func (r *Reader) String(most int) string { return string(r.Bytes(most)) }

// Count reads the number of elements that follow, each of least bytes at least, which is 1 or more: so a number that the input has no
// room for is an error before anything is allocated for it. After an error it is 0.
func (r *Reader) Count(least int) int {
	n := r.Uint(1 << 62)
	if n > uint64(len(r.b)/least) {
		r.Fail(fmt.Errorf("%w: %d elements in %d bytes", ErrRange, n, len(r.b)))
		return 0
	}
	return int(n)
}
