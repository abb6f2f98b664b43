package wirecodec

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"
)

func TestWhatIsWrittenIsRead(t *testing.T) {
	t.Parallel()
	var b []byte
	for _, v := range []uint64{0, 1, 127, 128, math.MaxUint64} {
		b = AppendUint(b, v)
	}
	for _, v := range []int64{0, -1, math.MinInt64, math.MaxInt64} {
		b = AppendInt(b, v)
	}
	b = AppendBool(AppendBool(b, true), false)
	b = AppendBytes(AppendString(b, "name"), []byte{1, 2})
	b = AppendBytes(b, nil)
	r := NewReader(b)
	for _, want := range []uint64{0, 1, 127, 128, math.MaxUint64} {
		if got := r.Uint(math.MaxUint64); got != want {
			t.Errorf("%d, want %d", got, want)
		}
	}
	for _, want := range []int64{0, -1, math.MinInt64, math.MaxInt64} {
		if got := r.Int(math.MinInt64, math.MaxInt64); got != want {
			t.Errorf("%d, want %d", got, want)
		}
	}
	if !r.Bool() || r.Bool() {
		t.Error("true and false were read as others")
	}
	if s, two, none := r.String(4), r.Bytes(2), r.Bytes(0); s != "name" || !bytes.Equal(two, []byte{1, 2}) || len(none) != 0 {
		t.Errorf("%q, %v, %v", s, two, none)
	}
	if err := r.Done(); err != nil {
		t.Error(err)
	}
}

func TestWhatIsRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		input []byte
		read  func(*Reader)
		want  error
	}{
		{"nothing", nil, func(r *Reader) { r.Uint(1) }, ErrShort},
		{"a number without its end", []byte{0x80}, func(r *Reader) { r.Uint(1) }, ErrShort},
		{"a number in too many bytes", []byte{0x81, 0}, func(r *Reader) { r.Uint(1) }, ErrFormat},
		{"a negative number in too many bytes", []byte{0x81, 0}, func(r *Reader) { r.Int(-9, 9) }, ErrFormat},
		{"more than 64 bits", bytes.Repeat([]byte{0xff}, 11), func(r *Reader) { r.Uint(math.MaxUint64) }, ErrFormat},
		{"too large", AppendUint(nil, 8), func(r *Reader) { r.Uint(7) }, ErrRange},
		{"too small", AppendInt(nil, -8), func(r *Reader) { r.Int(-7, 7) }, ErrRange},
		{"neither true nor false", []byte{2}, func(r *Reader) { r.Bool() }, ErrRange},
		{"fewer bytes than announced", AppendBytes(nil, []byte("long"))[:4], func(r *Reader) { r.Bytes(9) }, ErrShort},
		{"more bytes than may be", AppendBytes(nil, []byte("long")), func(r *Reader) { r.Bytes(3) }, ErrRange},
		{"no room for the elements", append(AppendUint(nil, 3), 0, 0, 0, 0, 0), func(r *Reader) { r.Count(2) }, ErrRange},
		{"very many elements", AppendUint(nil, 1<<62), func(r *Reader) { r.Count(1) }, ErrRange},
		{"a rest", []byte{1, 2}, func(r *Reader) { r.Uint(1) }, ErrRest},
	}
	for _, tt := range tests {
		r := NewReader(tt.input)
		tt.read(r)
		if err := r.Done(); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

// After an error everything reads as zero, and the first error stays.
func TestFirstErrorStays(t *testing.T) {
	t.Parallel()
	r := NewReader([]byte{5, 1, 1, 1, 1, 1})
	r.Uint(4)
	if r.Uint(9) != 0 || r.Int(0, 9) != 0 || r.Bool() || r.Bytes(9) != nil || r.String(9) != "" || r.Count(1) != 0 || r.Len() != 0 {
		t.Error("something was read after an error")
	}
	_ = r.Fail(errors.New("another one"))
	if err := r.Done(); !errors.Is(err, ErrRange) || !strings.Contains(err.Error(), "at byte 1") {
		t.Errorf("%v, want the first error and where it was", err)
	}
}

// Bytes that can be read are written in the same way again.
func FuzzReader(f *testing.F) {
	f.Add([]byte("uibsn"), AppendUint(AppendInt(AppendBytes(nil, []byte("x")), -3), 300))
	f.Fuzz(func(t *testing.T, fields, input []byte) {
		r := NewReader(input)
		var again []byte
		for _, field := range fields {
			switch field % 5 {
			case 0:
				again = AppendUint(again, r.Uint(1<<40))
			case 1:
				again = AppendInt(again, r.Int(-1<<40, 1<<40))
			case 2:
				again = AppendBytes(again, r.Bytes(1<<10))
			case 3:
				again = AppendBool(again, r.Bool())
			case 4:
				again = AppendUint(again, uint64(r.Count(1)))
			}
			if r.Err() != nil {
				return
			}
		}
		if read := len(input) - r.Len(); !bytes.Equal(again, input[:read]) {
			t.Fatalf("%x was written again as %x", input[:read], again)
		}
	})
}
