// Package printable makes text safe to show on a terminal: what others sent may hold escape sequences, which clear the
// screen, set its title, or write what was never there, and marks that turn the direction of writing around, so that a
// reader sees another text than the bytes are.
//
// Such characters are shown as JSON escapes them, \u001b, and a carriage return, which JSON has between its values only,
// as a space: JSON stays JSON and means the same.
package printable

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode"
	"unicode/utf8"
)

// steers reports whether a character does something to a terminal other than showing itself: the controls of C0 and
// C1 but line feed and tab, the marks of Unicode's bidirectional algorithm, and its line and paragraph separators.
func steers(r rune) bool {
	switch {
	case r == '\n' || r == '\t':
		return false
	case r < 0x80:
		return r < ' ' || r == 0x7f
	}
	return unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
}

// plain returns how many bytes at the beginning of text are shown unchanged.
func plain(text []byte) int {
	for i := 0; i < len(text); {
		r, size := rune(text[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(text[i:])
			if r == utf8.RuneError && size == 1 {
				return i
			}
		}
		if steers(r) {
			return i
		}
		i += size
	}
	return len(text)
}

// Append appends text to dst as it can be shown. A byte that is no UTF-8 becomes U+FFFD.
func Append(dst, text []byte) []byte {
	for {
		n := plain(text)
		dst, text = append(dst, text[:n]...), text[n:]
		if len(text) == 0 {
			return dst
		}
		r, size := utf8.DecodeRune(text)
		switch r {
		case utf8.RuneError:
			dst = utf8.AppendRune(dst, r)
		case '\r':
			dst = append(dst, ' ')
		default:
			dst = fmt.Appendf(dst, `\u%04x`, r) // none of them is beyond U+FFFF
		}
		text = text[size:]
	}
}

// Line is text on one line: JSON without its white space where that has line feeds, other text with these escaped.
func Line(text []byte) []byte {
	if bytes.IndexByte(text, '\n') >= 0 {
		var b bytes.Buffer
		if json.Compact(&b, text) == nil {
			text = b.Bytes()
		} else {
			text = bytes.ReplaceAll(text, []byte("\n"), []byte(`\u000a`))
		}
	}
	return Append(nil, text)
}

// Cut returns a text of which so many bytes are shown at most. It ends with a whole character, and "…" says that something is missing.
func Cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	n := most
	for n > most-utf8.UTFMax && n > 0 && !utf8.RuneStart(text[n]) { // what is no UTF-8 may have no such place
		n--
	}
	return text[:n] + "…"
}

// Writer writes to w what can be shown. Each Write has to hold whole characters.
func Writer(w io.Writer) io.Writer { return writer{w} }

type writer struct{ w io.Writer }

// Write implements io.Writer. It counts the bytes that it was given.
func (w writer) Write(text []byte) (int, error) {
	if plain(text) == len(text) {
		return w.w.Write(text)
	}
	if _, err := w.w.Write(Append(nil, text)); err != nil {
		return 0, err
	}
	return len(text), nil
}
