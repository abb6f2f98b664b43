package wsproto

import (
	"testing"
	"unicode/utf8"
)

// FuzzUTF8: the same verdict as the standard library, wherever the pieces are cut,
// and no byte later than it could be known.
func FuzzUTF8(f *testing.F) {
	for _, seed := range []string{"", "abc", "é日\U0001f426", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "a\xe6\x97", "\x80", "\xf0\x9f\x90\xa6\xf0"} {
		f.Add([]byte(seed), uint8(1))
		f.Add([]byte(seed), uint8(3))
	}
	f.Fuzz(func(t *testing.T, text []byte, size uint8) {
		var check utf8Check
		for from := 0; from < len(text); {
			to := min(len(text), from+int(size)%16+1)
			if got, want := check.write(text[from:to]), canBeginText(text[:to]); got != want {
				t.Fatalf("%x: %v, want %v", text[:to], got, want)
			} else if !got {
				return
			}
			from = to
		}
		if check.complete() != utf8.Valid(text) {
			t.Fatalf("%x: complete = %v", text, check.complete())
		}
	})
}

// canBeginText reports whether valid UTF-8 can begin with p.
func canBeginText(p []byte) bool {
	for len(p) > 0 && utf8.FullRune(p) {
		r, size := utf8.DecodeRune(p)
		if r == utf8.RuneError && size == 1 {
			return false
		}
		p = p[size:]
	}
	return true
}

func TestUTF8FailsAtOnce(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"\x80", "\xc0", "\xc1", "\xf5", "\xff", "\xc3\xc3", "\xe0\x9f", "\xed\xa0", "\xf0\x8f", "\xf4\x90", "\xe6\x97a", "\xf0\x9f\x90a"} {
		var check utf8Check
		for i := range len(bad) {
			if got, last := check.write([]byte(bad[i:i+1])), i == len(bad)-1; got == last {
				t.Errorf("%x: byte %d gives %v", bad, i, got)
			}
		}
	}
}
