package rules

import "fmt"

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
const shown = 24

// sent shows what a case sends: heads by what is special in them is too much to
// ask, so this is its name's business, and frames begin with what matters.
func sent(c Case) string {
	total, text := 0, ""
	for _, piece := range c.Send {
		total += len(piece)
		text += piece
	}
	if len(text) <= shown {
		return fmt.Sprintf("% x", text)
	}
	return fmt.Sprintf("% x… (%d bytes)", text[:shown], total)
}
