package position

import (
	"math/rand/v2"
	"strings"
	"testing"
)

func TestRoundTrip(t *testing.T) {
	for range 10000 {
		p := Position{
			Marker: max(1, rand.Uint64()>>(64-markerBits)), Count: rand.Uint64() & MaxCount, Check: CheckOf(rand.Uint32()),
		}
		s := p.String()
		if len(s) != Size || len(s) > MaxSize || !Valid([]byte(s)) {
			t.Fatalf("%+v is %q", p, s)
		}
		if got, ok := Parse(s); !ok || got != p {
			t.Fatalf("%+v came back from %q as %+v, %v", p, s, got, ok)
		}
	}
}

func TestParseRefusesOthers(t *testing.T) {
	good := Position{Marker: 1, Count: 2, Check: 3}.String()
	for _, s := range []string{
		"", good[1:], good + "A", strings.Replace(good, "A", ".", 1), strings.Replace(good, "A", "+", 1),
		strings.Repeat("A", Size), // marker 0
		good[:Size-1] + "\xff", good[:Size-1] + "\x00",
	} {
		if p, ok := Parse(s); ok {
			t.Errorf("%q is %+v", s, p)
		}
	}
}

func TestMarkerOfIsTheSameEverywhere(t *testing.T) {
	// Instances of different versions hear the same marker: the value must never change.
	if got := (Position{Marker: MarkerOf("roost")}).String()[:MarkerSize]; got != "MaieNkRSRE" {
		t.Errorf("it is %q", got)
	}
	if MarkerOf("a") == MarkerOf("b") {
		t.Error("two messages are one marker")
	}
}

func TestValid(t *testing.T) {
	for s, want := range map[string]bool{
		"": false, "a": true, "A.z_9-": true, strings.Repeat("x", MaxSize): true, strings.Repeat("x", MaxSize+1): false,
		"a b": false, "a\"": false, "ä": false, "a%20": false,
	} {
		if Valid([]byte(s)) != want {
			t.Errorf("%q is valid: %v", s, !want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(Position{Marker: 5, Count: 6, Check: 7}.String())
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		p, ok := Parse(s)
		if ok && (p.String() != s || !Valid([]byte(s))) {
			t.Errorf("%q became %q", s, p)
		}
	})
}
