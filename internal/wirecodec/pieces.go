package wirecodec

import "fmt"

// Bounds of a piece.
const (
	MaxPiece       = 1 << 20 // bytes
	MaxDescriptors = 250     // beside them: Linux passes 253 with a message
)

// Send sends a state of any length, and descriptors, in pieces that are within the bounds; one at least. The pieces are parts of
// state.
func Send(state []byte, descriptors []int, send func(piece []byte, descriptors []int) error) error {
	for first := true; first || len(state) > 0 || len(descriptors) > 0; first = false {
		n, d := min(len(state), MaxPiece), min(len(descriptors), MaxDescriptors)
		if err := send(state[:n:n], descriptors[:d:d]); err != nil {
			return err
		}
		state, descriptors = state[n:], descriptors[d:]
	}
	return nil
}

// Pieces puts together what Send has sent. Its zero value is ready. One goroutine at a time.
type Pieces struct {
	State       []byte
	Descriptors []int
}

// Add copies the next piece. A state longer than most is an error; the descriptors are kept all the same.
func (p *Pieces) Add(piece []byte, descriptors []int, most int) error {
	p.Descriptors = append(p.Descriptors, descriptors...)
	if len(p.State)+len(piece) > most {
		return fmt.Errorf("%w: more than %d bytes", ErrRange, most)
	}
	p.State = append(p.State, piece...)
	return nil
}
