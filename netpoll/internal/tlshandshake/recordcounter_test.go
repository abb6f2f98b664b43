package tlshandshake

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// However a stream is cut, the bytes of its handshake records count, and no others.
func TestRecordCounter(t *testing.T) {
	t.Parallel()
	record := func(kind byte, n int) []byte {
		return append([]byte{kind, 3, 3, byte(n >> 8), byte(n)}, bytes.Repeat([]byte{typeHandshake}, n)...)
	}
	for name, test := range map[string]struct {
		records [][]byte
		want    int
	}{
		"data that looks like handshakes": {[][]byte{record(typeApplicationData, 16_384), record(typeApplicationData, 5_654), record(typeAlert, 2)}, 0},
		"a handshake between data":        {[][]byte{record(typeApplicationData, 100), record(typeHandshake, 300), record(typeApplicationData, 100)}, 305},
		"empty records":                   {[][]byte{record(typeHandshake, 0), record(typeApplicationData, 0), record(typeHandshake, 0), record(typeHandshake, 1)}, 16},
		"one that does not end":           {[][]byte{record(typeApplicationData, 10), record(typeHandshake, 10_000)[:7_000]}, 7_000},
	} {
		stream := bytes.Join(test.records, nil)
		for _, most := range []int{1, 2, 7, 1000, len(stream)} {
			var c recordCounter
			got := 0
			for rest := stream; len(rest) > 0; {
				n := min(len(rest), 1+rand.IntN(most))
				got += c.handshakeBytes(rest[:n])
				rest = rest[n:]
			}
			if got != test.want {
				t.Errorf("%s, in pieces of up to %d: %d bytes count, want %d", name, most, got, test.want)
			}
		}
	}
}
