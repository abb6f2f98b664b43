package resp

import (
	"io"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// pieces reads from a string, so many bytes at a time.
type pieces struct {
	rest string
	size int
}

func (p *pieces) read(b []byte) (int, error) {
	if p.rest == "" {
		return 0, io.EOF
	}
	n := copy(b, p.rest[:min(p.size, len(p.rest))])
	p.rest = p.rest[n:]
	return n, nil
}

// all is what a Buffer of a size makes of input that comes in pieces.
func all(input string, size, piece int) (got []string, err error) {
	b, from := NewBuffer(size), &pieces{input, piece}
	for {
		r, ok, err := b.Next()
		switch {
		case err != nil:
			return got, err
		case ok:
			got = append(got, r.Kind.String()+" "+string(r.Channel)+" "+string(r.Payload))
			continue
		}
		if _, _, err = b.Fill(from.read); err != nil {
			return got, err
		}
	}
}

// Replies are the same in pieces of any size, and with any buffer.
func TestBufferInPieces(t *testing.T) {
	t.Parallel()
	var input strings.Builder
	var want []string
	for i := range 50 {
		payload := strings.Repeat("y", i*i)
		input.WriteString(push("message", "c", payload) + "+OK\r\n")
		want = append(want, "message c "+payload, "status  OK")
	}
	for _, size := range []int{16, 64, 1000, 64 << 10} {
		for _, piece := range []int{1, 2, 7, 100, 1 << 20} {
			if got, err := all(input.String(), size, piece); err != io.EOF || !slices.Equal(got, want) {
				t.Errorf("size %d, pieces of %d: %d replies, %v", size, piece, len(got), err)
			}
		}
	}
}

// A long reply makes the buffer grow no further than it has come, and the next short one shrink again.
func TestBufferGrowsAndShrinks(t *testing.T) {
	t.Parallel()
	const size = 1024
	b := NewBuffer(size)
	from := &pieces{"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1000000000\r\n" + strings.Repeat("z", 10*size), size}
	for from.rest != "" {
		if _, ok, err := b.Next(); ok || err != nil {
			t.Fatal(ok, err)
		}
		if _, _, err := b.Fill(from.read); err != nil {
			t.Fatal(err)
		}
	}
	if len(b.buf) > 22*size {
		t.Errorf("%d bytes for %d that have come", len(b.buf), 10*size)
	}

	b = NewBuffer(size)
	from = &pieces{push("message", "c", strings.Repeat("z", 100*size)) + "+OK\r\n" + "+OK\r\n", 100 * size}
	for {
		if _, ok, _ := b.Next(); ok {
			break
		}
		if _, _, err := b.Fill(from.read); err != nil {
			t.Fatal(err)
		}
	}
	for {
		if _, ok, _ := b.Next(); ok {
			continue
		}
		if _, _, err := b.Fill(from.read); err != nil {
			break
		}
	}
	if len(b.buf) != size {
		t.Errorf("%d bytes are left of a long reply", len(b.buf))
	}
}

// A long message has its memory to itself, whatever is read behind it.
func TestLongMessagesStay(t *testing.T) {
	t.Parallel()
	const size = 64
	for _, piece := range []int{7, size, 100, 10_000} {
		var want, got []string
		var input strings.Builder
		for i := range 40 {
			payload := strings.Repeat(string(rune('a'+i%26)), i%4*size)
			want = append(want, payload)
			input.WriteString(push("message", "c", payload))
		}
		b, from := NewBuffer(size), &pieces{input.String(), piece}
		for {
			r, ok, err := b.Next()
			if err != nil {
				t.Fatal(err)
			}
			if ok {
				channel, payload := r.Strings()
				got = append(got, payload) // and no copy of it
				if r.own && unsafe.StringData(payload) != unsafe.SliceData(r.Payload) {
					t.Error("a long payload is copied")
				}
				if channel != "c" || r.own != (len(payload) >= size) {
					t.Errorf("a payload of %d bytes: own %t", len(payload), r.own)
				}
				continue
			}
			if _, _, err := b.Fill(from.read); err != nil {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("in pieces of %d: %q", piece, got)
		}
		if len(b.buf) > 4*size {
			t.Errorf("in pieces of %d: %d bytes are left", piece, len(b.buf))
		}
	}
}

// A Buffer says whether there was room for more than came.
func TestBufferSaysFull(t *testing.T) {
	t.Parallel()
	b := NewBuffer(8)
	from := &pieces{"+OK\r\n+OK\r\n+OK\r\n", 8}
	var got []bool
	for {
		if _, ok, _ := b.Next(); ok {
			continue
		}
		_, full, err := b.Fill(from.read)
		if err != nil {
			break
		}
		got = append(got, full)
	}
	if want := []bool{true, true, false}; !slices.Equal(got, want) {
		t.Errorf("full %v, want %v", got, want)
	}
}

// FuzzBuffer wants the same of any input, whatever the pieces.
func FuzzBuffer(f *testing.F) {
	for _, input := range []string{
		push("pmessage", "user_noti:*", "user_noti:a", "{}"), push("subscribe", "a", ":1") + "+OK\r\n", "-ERR x\r\n", "$3\r\nabc\r\n",
		"*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n", "*3\r\n$999999999999999\r\n", push("pong", ""), "HTTP/1.1 200 OK\r\n",
	} {
		f.Add(input, uint8(3))
	}
	f.Fuzz(func(t *testing.T, input string, piece uint8) {
		whole, wholeErr := all(input, 64<<10, 64<<10)
		cut, cutErr := all(input, 16, 1+int(piece))
		if !slices.Equal(whole, cut) || (wholeErr == io.EOF) != (cutErr == io.EOF) {
			t.Errorf("%q: whole %q, %v; in pieces of %d %q, %v", input, whole, wholeErr, 1+int(piece), cut, cutErr)
		}
		for _, r := range whole {
			if strings.HasPrefix(r, "kind") {
				t.Errorf("%q: %s", input, r)
			}
		}
	})
}
