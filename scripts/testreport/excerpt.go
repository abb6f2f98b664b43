package main

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

const (
	excerptLines = 20  // of a test
	messageLines = 6   // of one of its messages
	lineBytes    = 300 // of a line
)

// place begins a message of a test: where it was said.
var place = regexp.MustCompile(`^ *[\w.-]+\.go:\d+: `)

// printed ends the first line of a message that shows what a process has printed (roosttest's and redistest's).
var printed = regexp.MustCompile(` (printed|said):$`)

// excerpt is what a test has said about its failure, in a few lines: the first and the last ones if there are many, each
// message's beginning, and nothing of what processes have printed.
func excerpt(output []string) []string {
	var lines []string
	ofProcess, said := false, 0 // of the message that a line belongs to
	for line := range strings.Lines(strings.Join(output, "")) {
		line = strings.TrimRight(line, "\n ")
		first := strings.TrimLeft(line, " ")
		switch {
		case first == "" || strings.HasPrefix(first, "=== ") || strings.HasPrefix(first, "--- "):
			continue
		case place.MatchString(line):
			ofProcess, said = printed.MatchString(line), 0
		}
		if said++; !ofProcess && said <= messageLines {
			lines = append(lines, shortened(line))
		}
	}
	if more := len(lines) - excerptLines; more > 0 {
		half := excerptLines / 2
		left := fmt.Sprintf("    … %d lines more: see above …", more)
		lines = append(append(lines[:half:half], left), lines[len(lines)-half:]...)
	}
	return lines
}

// shortened is a line without what is too much of it.
func shortened(line string) string {
	if len(line) <= lineBytes {
		return line
	}
	end := lineBytes
	for !utf8.RuneStart(line[end]) {
		end--
	}
	return line[:end] + " …"
}
