// Package plural writes numbers of things as people read them: 1 connection, 2 connections.
package plural

import "fmt"

// integer is what things are counted with.
type integer interface {
	~int | ~int64 | ~uint64
}

// Count is n with its noun, of which the plural has an s: 1 gap, 2 gaps, 0 gaps.
func Count[N integer](n N, noun string) string {
	return fmt.Sprint(n) + " " + Noun(n, noun)
}

// Noun is the noun as it follows n, for numbers that are written in another way.
func Noun[N integer](n N, noun string) string {
	if n == 1 {
		return noun
	}
	return noun + "s"
}

// FirstAre is the beginning of a sentence about the first n of several: "the first is", "the first 2 are".
func FirstAre(n int) string {
	if n == 1 {
		return "the first is"
	}
	return fmt.Sprintf("the first %d are", n)
}
