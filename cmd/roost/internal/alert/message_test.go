package alert

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"roost/cmd/roost/internal/printable"
)

func TestCut(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, want string }{
		{"", ""},
		{strings.Repeat("x", maxLine), strings.Repeat("x", maxLine)},
		{strings.Repeat("x", maxLine+1), strings.Repeat("x", maxLine) + "…"},
		{strings.Repeat("é", maxLine), strings.Repeat("é", maxLine/2) + "…"},
		{"x" + strings.Repeat("😀", maxLine), "x" + strings.Repeat("😀", (maxLine-1)/4) + "…"},
	} {
		if got := printable.Cut(tt.in, maxLine); got != tt.want {
			t.Errorf("%d runes became %d, want %d", utf8.RuneCountInString(tt.in), utf8.RuneCountInString(got), utf8.RuneCountInString(tt.want))
		}
	}
}

// A message stays below Discord's limit with any lines, and holds at least one of them.
func FuzzMessage(f *testing.F) {
	f.Add("short", 3)
	f.Add(strings.Repeat("😀", 2000), 64)
	f.Add("\xff\xfe", 64)
	f.Fuzz(func(t *testing.T, line string, n int) {
		lines := slices.Repeat([]string{line}, 1+max(0, n)%maxQueue)
		fit := fitting(lines, false)
		if fit < 1 || fit != fitting(lines, true) {
			t.Fatalf("%d fit", fit)
		}
		if n := len(utf16.Encode([]rune(message(lines[:fit], 1_000_000)))); n > 2000 {
			t.Fatalf("%d units", n)
		}
	})
}
