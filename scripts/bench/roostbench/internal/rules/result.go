package rules

import (
	"fmt"
	"slices"
	"strings"
)

// Verdict is what to think of what came.
type Verdict string

// The verdicts. Only Broken is a failure.
const (
	Kept   Verdict = "ok"
	Advice Verdict = "advice" // something that is only recommended was not done
	Broken Verdict = "FAIL"
)

// Result is a case that was played.
type Result struct {
	Group   string  `json:"group"`
	Section string  `json:"section"`
	Name    string  `json:"name"`
	Verdict Verdict `json:"verdict"`
	Sent    string  `json:"sent"`
	Way     string  `json:"way,omitempty"` // how it was cut, where that way is the one that was not kept
	Ways    int     `json:"ways"`          // in how many ways it was sent
	Want    string  `json:"want"`
	Came    string  `json:"came"`
}

// shown is how many bytes of what was sent a result has.
const shown = 16

// sent shows what a case sends: of a request what is not as usual in it, of
// frames the beginning.
func sent(c Case) string {
	text := strings.Join(c.Send, "")
	if c.Group == Handshake && strings.Contains(text, "{path}") {
		return unusual(text)
	}
	if len(text) <= shown {
		return fmt.Sprintf("% x", text)
	}
	return fmt.Sprintf("% x… (%d bytes)", text[:shown], len(text))
}

// unusual are the lines of a request that a proper one does not have, and those
// that are missing.
func unusual(text string) string {
	missing := slices.Clone(properLines)
	var all []string
	for line := range strings.SplitSeq(text, "\r\n") {
		if i := slices.Index(missing, line); i >= 0 {
			missing = slices.Delete(missing, i, i+1)
		} else if line != "" {
			all = append(all, fmt.Sprintf("%.60q", line))
		}
	}
	for _, line := range missing {
		name, _, isField := strings.Cut(line, ":")
		if isField && !strings.Contains(strings.ToLower(text), "\r\n"+strings.ToLower(name)+":") {
			all = append(all, "no "+name)
		}
	}
	if len(all) == 0 {
		return "as it should be"
	}
	return strings.Join(all, " ")
}
