package alert

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"unicode/utf16"
)

// Discord refuses messages above 2,000 characters. We count in UTF-16 units, the strictest reading of that, and keep
// room for the line about what was left out.
const (
	maxMessage = 1900
	maxLine    = 900
)

// message is the text for lines; it says how many were left out.
func message(lines []string, missed int) string {
	var b strings.Builder
	for i, line := range lines {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(cut(line))
	}
	if missed > 0 {
		fmt.Fprintf(&b, "\n(%d more left out)", missed)
	}
	return b.String()
}

// fitting counts how many lines, in their order, one message holds: at least one when there is any.
func fitting(lines iter.Seq[string]) int {
	n, total := 0, 0
	for line := range lines {
		if total += size(cut(line)) + 1; total > maxMessage {
			break
		}
		n++
	}
	return n
}

// newestFirst goes through lines from the end.
func newestFirst(lines []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, line := range slices.Backward(lines) {
			if !yield(line) {
				return
			}
		}
	}
}

// size is the length of s in UTF-16 units.
func size(s string) int {
	n := 0
	for _, r := range s {
		n += utf16.RuneLen(r)
	}
	return n
}

// cut shortens a line to maxLine.
func cut(line string) string {
	n := 0
	for i, r := range line {
		if n += utf16.RuneLen(r); n > maxLine {
			return line[:i] + "…"
		}
	}
	return line
}
