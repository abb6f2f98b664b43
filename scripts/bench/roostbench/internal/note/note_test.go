package note

import (
	"errors"
	"math/rand/v2"
	"testing"
)

func TestParseFindsWhatAppendWrote(t *testing.T) {
	t.Parallel()
	want := Note{User: 12, Seq: 1<<32 - 1, At: 1_700_000_000_123_456_789}
	published := string(want.Append(nil, 10))
	delivered := `{"timestamp":"x", "type":"bench",` + published[len(`{"type":"bench",`):]
	for _, message := range []string{published, delivered} {
		if got, err := Parse([]byte(message)); got != want || err != nil {
			t.Errorf("%s: got %+v, %v", message, got, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, message := range []string{
		``, `{}`, `{"bench":"`, `{"bench":"1 2"`, `{"bench":"1 2 `, `{"bench":" 2 3"`, `{"bench":"1 -2 3"`,
		`{"bench":"1 0 3"`, `{"bench":"1 4294967296 3"`, `{"bench":"1 2 33333333333333333333"`,
	} {
		if got, err := Parse([]byte(message)); !errors.Is(err, ErrNoNote) {
			t.Errorf("%s: got %+v, %v", message, got, err)
		}
	}
}

func TestParseDoesNotAllocate(t *testing.T) {
	message := Note{User: 1, Seq: 2, At: 3}.Append(nil, 100)
	if n := testing.AllocsPerRun(100, func() { _, _ = Parse(message) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestChecker(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		seqs      []uint32
		want      []Verdict
		published uint32
		lost      int
	}{
		{"all in order", []uint32{1, 2, 3}, []Verdict{InOrder, InOrder, InOrder}, 3, 0},
		{"nothing came", nil, nil, 3, 3},
		{"the first is lost", []uint32{2}, []Verdict{Skipping}, 2, 1},
		{"the last is lost", []uint32{1}, []Verdict{InOrder}, 2, 1},
		{"two turned round", []uint32{2, 1, 3}, []Verdict{Skipping, Late, InOrder}, 3, 0},
		{"one twice", []uint32{1, 1}, []Verdict{InOrder, Duplicate}, 1, 0},
		{"one late and twice", []uint32{3, 1, 1, 2}, []Verdict{Skipping, Late, Duplicate, Late}, 3, 0},
		{"more than is asked about", []uint32{2, 6}, []Verdict{Skipping, Skipping}, 4, 3},
		{"out of the middle of a gap", []uint32{5, 3, 3}, []Verdict{Skipping, Late, Duplicate}, 6, 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var c Checker
			for i, seq := range tt.seqs {
				if got := c.See(seq); got != tt.want[i] {
					t.Errorf("number %d: got %d, want %d", seq, got, tt.want[i])
				}
			}
			if got := c.Lost(tt.published); got != tt.lost {
				t.Errorf("lost %d, want %d", got, tt.lost)
			}
		})
	}
}

// TestCheckerAgainstSet compares with a set of all numbers that came.
func TestCheckerAgainstSet(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var c Checker
		seen, highest := map[uint32]bool{}, uint32(0)
		for range 60 {
			seq := 1 + random.Uint32N(40)
			want := InOrder
			switch {
			case seen[seq]:
				want = Duplicate
			case seq < highest:
				want = Late
			case seq > highest+1:
				want = Skipping
			}
			if got := c.See(seq); got != want {
				t.Fatalf("number %d: got %d, want %d", seq, got, want)
			}
			seen[seq], highest = true, max(highest, seq)
		}
		if got := c.Lost(40); got != 40-len(seen) {
			t.Fatalf("lost %d, want %d", got, 40-len(seen))
		}
	}
}
