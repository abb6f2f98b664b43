package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// serverFrame builds a frame in the shortest form, without a mask.
func serverFrame(first byte, payload string) string {
	size := len(payload)
	head := []byte{first}
	switch {
	case size <= 125:
		head = append(head, byte(size))
	case size < 1<<16:
		head = binary.BigEndian.AppendUint16(append(head, 126), uint16(size))
	default:
		head = binary.BigEndian.AppendUint64(append(head, 127), uint64(size))
	}
	return string(head) + payload
}

// readAll feeds in pieces of the given size and returns what came out.
func readAll(in string, piece int) ([]string, error) {
	var r Reader
	var got []string
	for part := range slices.Chunk([]byte(in), piece) {
		err := r.Read(part, func(m Message) error {
			got = append(got, fmt.Sprintf("%d %d %s", m.Op, m.Code, m.Payload))
			return nil
		})
		if err != nil {
			return got, err
		}
	}
	return got, nil
}

func TestReader(t *testing.T) {
	t.Parallel()
	long, longer := strings.Repeat("l", 126), strings.Repeat("L", 70_000)
	tests := []struct {
		name, in string
		want     []string
	}{
		{"text", serverFrame(0x81, "hello"), []string{"1 0 hello"}},
		{"two in one piece", serverFrame(0x81, "a") + serverFrame(0x82, "b"), []string{"1 0 a", "2 0 b"}},
		{"16-bit length", serverFrame(0x81, long), []string{"1 0 " + long}},
		{"64-bit length", serverFrame(0x81, longer), []string{"1 0 " + longer}},
		{"ping inside a fragmented text", serverFrame(0x01, "a") + serverFrame(0x89, "p") + serverFrame(0x00, "b") + serverFrame(0x80, "c"),
			[]string{"9 0 p", "1 0 abc"}},
		{"a rune cut by fragments", serverFrame(0x01, "\xc3") + serverFrame(0x80, "\xa4"), []string{"1 0 ä"}},
		{"close with a code", serverFrame(0x88, "\x03\xe9bye"), []string{"8 1001 bye"}},
		{"close without", serverFrame(0x88, ""), []string{"8 1005 "}},
	}
	for _, tt := range tests {
		for _, piece := range []int{len(tt.in), 1, 3} {
			t.Run(fmt.Sprintf("%s in pieces of %d", tt.name, piece), func(t *testing.T) {
				t.Parallel()
				got, err := readAll(tt.in, piece)
				if err != nil || !slices.Equal(got, tt.want) {
					t.Errorf("got %.80q, %v, want %.80q", got, err, tt.want)
				}
			})
		}
	}
}

func TestReaderRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"masked":                      "\x81\x81aaaab",
		"RSV1":                        serverFrame(0xC1, "a"),
		"opcode 3":                    serverFrame(0x83, "a"),
		"opcode 11":                   serverFrame(0x8B, "a"),
		"fragmented ping":             serverFrame(0x09, "a"),
		"long ping":                   serverFrame(0x89, strings.Repeat("a", 126)),
		"16-bit form for 125":         "\x81\x7e\x00\x7d" + strings.Repeat("a", 125),
		"64-bit form for 65535":       "\x81\x7f\x00\x00\x00\x00\x00\x00\xff\xff",
		"64-bit length with its sign": "\x81\x7f\x80\x00\x00\x00\x00\x00\x00\x00",
		"more than a megabyte":        "\x81\x7f\x00\x00\x00\x00\x00\x10\x00\x01",
		"text that is not UTF-8":      serverFrame(0x81, "\xff"),
		"continuation of nothing":     serverFrame(0x80, "a"),
		"text inside a text":          serverFrame(0x01, "a") + serverFrame(0x81, "b"),
		"close with one byte":         serverFrame(0x88, "a"),
		"close with bad text":         serverFrame(0x88, "\x03\xe9\xff"),
		"a frame after close":         serverFrame(0x88, "") + serverFrame(0x81, "a"),
	}
	for name, in := range tests {
		for _, piece := range []int{len(in), 1} {
			t.Run(fmt.Sprintf("%s in pieces of %d", name, piece), func(t *testing.T) {
				t.Parallel()
				if got, err := readAll(in, piece); !errors.Is(err, ErrFrame) {
					t.Errorf("got %q, %v, want an error about a broken frame", got, err)
				}
			})
		}
	}
}

func TestReaderKeepsNothingBetweenMessages(t *testing.T) {
	t.Parallel()
	var r Reader
	in := serverFrame(0x01, "a") + serverFrame(0x80, "b")
	for _, piece := range []string{in[:4], in[4:]} {
		if err := r.Read([]byte(piece), func(Message) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if r.rest != nil || r.parts != nil {
		t.Errorf("kept %q and %q", r.rest, r.parts)
	}
}

func TestReaderDoesNotAllocate(t *testing.T) {
	var r Reader
	in := []byte(serverFrame(0x81, "hello"))
	handle := func(Message) error { return nil }
	if n := testing.AllocsPerRun(100, func() { _ = r.Read(in, handle) }); n != 0 {
		t.Errorf("%v allocations a message", n)
	}
}

func TestAppendFrame(t *testing.T) {
	t.Parallel()
	got := AppendFrame([]byte("x"), Pong, []byte("abcde"), 0x01020304)
	want := []byte{'x', 0x8A, 0x85, 1, 2, 3, 4, 'a' ^ 1, 'b' ^ 2, 'c' ^ 3, 'd' ^ 4, 'e' ^ 1}
	if !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte(serverFrame(0x81, "hello")), 2)
	f.Add([]byte(serverFrame(0x01, "a")+serverFrame(0x80, "b")+serverFrame(0x88, "\x03\xe9bye")), 1)
	f.Fuzz(func(t *testing.T, in []byte, piece int) {
		if len(in) == 0 || piece < 1 {
			t.Skip()
		}
		whole, wholeErr := readAll(string(in), len(in))
		cut, cutErr := readAll(string(in), piece)
		if !slices.Equal(whole, cut) || (wholeErr == nil) != (cutErr == nil) {
			t.Errorf("at once %q, %v; in pieces of %d %q, %v", whole, wholeErr, piece, cut, cutErr)
		}
	})
}
