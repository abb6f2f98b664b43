package plural

import "testing"

func TestPlural(t *testing.T) {
	for n, want := range map[int][2]string{
		0: {"0 gaps", "the first 0 are"},
		1: {"1 gap", "the first is"},
		2: {"2 gaps", "the first 2 are"},
	} {
		if got := [2]string{Count(n, "gap"), FirstAre(n)}; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := Noun(uint64(1), "server") + Noun(int64(1000), "server"); got != "serverservers" {
		t.Errorf("nouns are %q", got)
	}
}
