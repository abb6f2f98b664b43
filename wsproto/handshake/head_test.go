package handshake

import (
	"strings"
	"testing"
)

func TestHeadEnd(t *testing.T) {
	t.Parallel()
	const whole = "GET /ws HTTP/1.1\r\nHost: a\r\n\r\n"
	tests := map[string]struct {
		in   string
		want int
	}{
		"nothing":            {"", 0},
		"one byte":           {"G", 0},
		"no line":            {"GET /ws HTTP/1.1\r", 0},
		"one line":           {"GET /ws HTTP/1.1\r\n", 0},
		"half a blank line":  {whole[:len(whole)-1], 0},
		"whole":              {whole, len(whole)},
		"no headers":         {"GET / HTTP/1.0\r\n\r\n", 18},
		"frames behind it":   {whole + "\x89\x80abcd", len(whole)},
		"second head":        {whole + whole, len(whole)},
		"bare LF first line": {"GET /ws HTTP/1.1\nHost: a\n", 17},
		"bare LF later":      {"GET /ws HTTP/1.1\r\nHost: a\n", 26},
		"bare LF blank line": {"GET /ws HTTP/1.1\r\n\n", 19},
		"LF only":            {"\n", 1},
		"blank line first":   {"\r\n", 1},
		"TLS hello":          {"\x16\x03\x01\x02\x00\x01", 1},
		"LF after a letter":  {"G\n", 2},
		"CR LF after one":    {"G\r\n", 0},
		"CR CR LF":           {"G / HTTP/1.1\r\r\n", 0},
		"two CR at the end":  {"G / HTTP/1.1\r\n\r\r\n", 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := HeadEnd([]byte(test.in), 0); got != test.want {
				t.Errorf("at once: %d, want %d", got, test.want)
			}
			if got := headEndByBytes([]byte(test.in)); got != test.want {
				t.Errorf("byte by byte: %d, want %d", got, test.want)
			}
		})
	}
}

// headEndByBytes asks after each byte, as a loop would for a slow client.
func headEndByBytes(in []byte) int {
	for i := range in {
		if end := HeadEnd(in[:i+1], i); end != 0 {
			return end
		}
	}
	return 0
}

func TestHeadEndTakesAnyFrom(t *testing.T) {
	t.Parallel()
	const whole = "GET /ws HTTP/1.1\r\nHost: a\r\n\r\n"
	for from := -1; from < len(whole); from++ {
		if got := HeadEnd([]byte(whole), from); got != len(whole) {
			t.Errorf("from %d: %d, want %d", from, got, len(whole))
		}
	}
	if got := HeadEnd([]byte("GET"), 10); got != 0 {
		t.Errorf("from beyond the end: %d, want 0", got)
	}
}

// TestReadAnswersEarlyEnds: what HeadEnd cuts short must not pass as a head.
func TestReadAnswersEarlyEnds(t *testing.T) {
	t.Parallel()
	upgrader := newUpgrader(t, Config{})
	for _, in := range []string{"\r\n", "\x16\x03\x01", "GET /health HTTP/1.0\n\n", "GET /health HTTP/1.0\r\n\n"} {
		end := HeadEnd([]byte(in), 0)
		if end == 0 {
			t.Fatalf("%q: not at its end", in)
		}
		_, refusal := decide(upgrader, []byte(in)[:end])
		if refusal == nil || refusal.Status != 400 || refusal.Reason != ReasonBadRequest {
			t.Errorf("%q: %+v, want a 400", in, refusal)
		}
	}
}

func TestHeadEndAllocatesNothing(t *testing.T) {
	in := []byte("GET /ws HTTP/1.1\r\n" + strings.Repeat("X-Field: value\r\n", 50) + "\r\n")
	if n := testing.AllocsPerRun(100, func() { HeadEnd(in, 0) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
