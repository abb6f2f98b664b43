package main

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// spread is the median of some values, and between what they lie.
type spread struct {
	n                 int
	median, low, high float64
}

func newSpread(byRound map[int]float64) spread {
	values := slices.Sorted(maps.Values(byRound))
	n := len(values)
	if n == 0 {
		return spread{}
	}
	return spread{n, (values[(n-1)/2] + values[n/2]) / 2, values[0], values[n-1]}
}

// String is "5.1 (4.9–6.0)", or "5.1" where there is one value.
func (s spread) String() string {
	switch {
	case s.n == 0:
		return ""
	case s.n == 1 || s.low == s.high:
		return number(s.median)
	}
	return number(s.median) + " (" + number(s.low) + "–" + number(s.high) + ")"
}

// number writes a figure with about three digits that mean something, and
// commas between thousands.
func number(v float64) string {
	digits := 3
	switch size := math.Abs(v); {
	case v == math.Trunc(v), size >= 100:
		digits = 0
	case size >= 10:
		digits = 1
	case size >= 1:
		digits = 2
	}
	text := strconv.FormatFloat(v, 'f', digits, 64)
	if zero := strings.Trim(text, "-0."); zero == "" {
		return "0"
	}
	return commas(text)
}

// commas puts them between thousands.
func commas(text string) string {
	sign, rest := "", text
	if strings.HasPrefix(text, "-") {
		sign, rest = "−", text[1:]
	}
	whole, fraction, found := strings.Cut(rest, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if found {
		whole += "." + fraction
	}
	return sign + whole
}

// ratio writes a ratio; nothing where it means nothing.
func ratio(a, b spread) string {
	if a.n == 0 || b.n == 0 || b.median == 0 {
		return ""
	}
	return strconv.FormatFloat(a.median/b.median, 'f', 2, 64)
}
