package rules

import (
	"slices"
	"strings"
)

// ending is how a connection was left.
type ending string

const (
	waits  ending = "nothing more comes" // until we lost patience
	serves ending = "serves on"          // our own ping was answered
	closed ending = "closed"             // FIN
	reset  ending = "reset"              // RST, or another error of the socket
)

// seen is what came from the server.
type seen struct {
	status int    // of the answer to a handshake; 0: none
	head   string // of that answer, in lower case
	pongs  []string
	code   int // of its close frame; 0: none. 1005 where it had no code
	end    ending
	bad    string // what a server must never do, in words
}

// judge says what to think of it.
func judge(c Case, s seen) Verdict {
	ok := wanted(c.Want, s)
	// 7.1.7, 7.1.1: there should be a close frame, and TCP closed in order.
	clean := len(c.Want.Closes) == 0 || s.code != 0 && s.end != reset
	switch {
	case s.bad != "":
		return Broken
	case ok && clean:
		return Kept
	case ok, c.Advice:
		return Advice
	}
	return Broken
}

// wanted compares.
func wanted(w Want, s seen) bool {
	if len(w.Status) > 0 {
		return wantedAnswer(w, s)
	}
	if !slices.Equal(s.pongs, w.Pongs) {
		return false
	}
	if len(w.Closes) == 0 {
		return s.end == serves
	}
	return slices.Contains(w.Closes, s.code) && (s.end == closed || s.end == reset)
}

func wantedAnswer(w Want, s seen) bool {
	switch {
	case !slices.Contains(w.Status, s.status):
		return false
	case s.status == NoAnswer:
		return s.end == closed || s.end == reset
	case s.status == 101:
		return s.end == serves
	}
	return w.Field == "" || hasField(s.head, w.Field)
}

// hasField looks for a field, as in "name: value", by the beginning of its name
// and what its value contains.
func hasField(head, field string) bool {
	name, value, _ := strings.Cut(field, ": ")
	for line := range strings.SplitSeq(head, "\r\n") {
		if got, ok := strings.CutPrefix(line, name+":"); ok && strings.Contains(got, value) {
			return true
		}
	}
	return false
}
