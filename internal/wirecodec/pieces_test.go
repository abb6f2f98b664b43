package wirecodec

import (
	"bytes"
	"errors"
	"slices"
	"testing"
)

// Pieces are put together again, at any length.
func TestPieces(t *testing.T) {
	for _, test := range []struct{ bytes, descriptors, pieces int }{
		{0, 0, 1}, {1, 1, 1}, {MaxPiece, MaxDescriptors, 1}, {MaxPiece + 1, 3, 2}, {5, 2*MaxDescriptors + 1, 3}, {3 * MaxPiece, 1, 3},
	} {
		state := bytes.Repeat([]byte("0123456789abcde"), test.bytes/15+1)[:test.bytes]
		descriptors := make([]int, test.descriptors)
		for i := range descriptors {
			descriptors[i] = i
		}
		var got Pieces
		pieces := 0
		err := Send(state, descriptors, func(piece []byte, some []int) error {
			pieces++
			if len(piece) > MaxPiece || len(some) > MaxDescriptors {
				t.Errorf("a piece of %d bytes with %d descriptors", len(piece), len(some))
			}
			return got.Add(piece, some, len(state))
		})
		if err != nil || pieces != test.pieces || !bytes.Equal(got.State, state) || !slices.Equal(got.Descriptors, descriptors) {
			t.Errorf("%+v: %d pieces, %d bytes, %d descriptors, %v", test, pieces, len(got.State), len(got.Descriptors), err)
		}
	}
}

// A state that is too long is an error, and its descriptors are there to be closed.
func TestPiecesTooLong(t *testing.T) {
	var got Pieces
	if err := got.Add([]byte("123"), []int{7}, 2); !errors.Is(err, ErrRange) || !slices.Equal(got.Descriptors, []int{7}) {
		t.Errorf("%v, %v", err, got)
	}
}

// An error ends it.
func TestSendFails(t *testing.T) {
	broken := errors.New("broken")
	if err := Send(make([]byte, 3*MaxPiece), nil, func([]byte, []int) error { return broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
}
