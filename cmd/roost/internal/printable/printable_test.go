package printable

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
)

func TestAppend(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                         "",
		"plain, tab\t, line\n":     "plain, tab\t, line\n",
		"größer 中 👨‍👩‍👧 \u00ad":    "größer 中 👨‍👩‍👧 \u00ad",
		"\x1b[2J\x1b]0;title\x07":  `\u001b[2J\u001b]0;title\u0007`,
		"a\rb\x00\x7f":             `a b\u0000\u007f`,
		"\u009b31m\u0085":          `\u009b31m\u0085`,
		"\u202egpj.exe\u202c":      `\u202egpj.exe\u202c`,
		"\u2066\u2069\u200f\u061c": `\u2066\u2069\u200f\u061c`,
		"\u2028\u2029":             `\u2028\u2029`,
		"\x9b31m":                  "\ufffd31m",
		"a\xff\xc3":                "a\ufffd\ufffd",
		"\ufffd":                   "\ufffd",
	} {
		if got := string(Append([]byte("x"), []byte(text))); got != "x"+want {
			t.Errorf("%q becomes %q, want %q", text, got, "x"+want)
		}
		var b bytes.Buffer
		if n, err := Writer(&b).Write([]byte(text)); n != len(text) || err != nil || b.String() != want {
			t.Errorf("%q is written as %q, %d, %v", text, b.String(), n, err)
		}
	}
}

func TestLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"type":"a","payload":1}`:              `{"type":"a","payload":1}`,
		"{\n\t\"type\": \"a b\",\n \"x\": 1\n}": `{"type":"a b","x":1}`,
		"{\"type\": \"\u009b\"\n}":              `{"type":"\u009b"}`,
		"no JSON\nat all":                       `no JSON\u000aat all`,
	} {
		if got := string(Line([]byte(text))); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

// JSON means the same after it, and nothing that is written steers a terminal.
func FuzzAppend(f *testing.F) {
	f.Add([]byte("{\"a\":\"\u202e\u009b\"}"))
	f.Add([]byte("\x1b[31m\xff"))
	f.Fuzz(func(t *testing.T, text []byte) {
		got := Append(nil, text)
		if strings.ContainsFunc(string(got), steers) || plain(got) != len(got) {
			t.Errorf("%q becomes %q", text, got)
		}
		var before, after any
		if json.Unmarshal(text, &before) == nil {
			if err := json.Unmarshal(got, &after); err != nil || !reflect.DeepEqual(before, after) {
				t.Errorf("%q becomes %q: %v", text, got, err)
			}
		}
	})
}

type failing struct{ io.Writer }

var errFailed = errors.New("failed")

func (failing) Write([]byte) (int, error) { return 0, errFailed }

func TestWriterPassesErrorsOn(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"a", "\x1b"} {
		if _, err := Writer(failing{}).Write([]byte(text)); err != errFailed {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		most int
		want string
	}{
		{"", 0, ""}, {"abc", 3, "abc"}, {"abcd", 3, "abc…"}, {"żżż", 4, "żż…"}, {"żżż", 5, "żż…"}, {"żżż", 6, "żżż"}, {"x", 0, "…"}, {"ż", 1, "…"},
		{"a😀b", 4, "a…"}, {"a😀b", 5, "a😀…"},
		{"\x80\x80\x80\x80\x80\x80\x80\x80", 6, "\x80\x80…"}, // no UTF-8: what is cut is little
	} {
		if got := Cut(tt.text, tt.most); got != tt.want {
			t.Errorf("%q, %d: %q, want %q", tt.text, tt.most, got, tt.want)
		}
	}
}
