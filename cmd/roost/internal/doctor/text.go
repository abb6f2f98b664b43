package doctor

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"roost/internal/plural"
)

// WriteText writes the report for people: a line for each limit, the verdict,
// the lines that change it, and the worst case.
func (r Report) WriteText(to io.Writer) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\tLIMIT\tFOUND\tHOLDS\t")
	for _, f := range r.Findings {
		holds := "-"
		if f.Wall {
			holds = thousands(uint64(f.Holds))
		}
		fmt.Fprintf(w, "%s\t%s (%s)\t%s\t%s\t%s\n", f.State, f.Name, f.Source, f.Found, holds, f.Note)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	if _, err := fmt.Fprintf(to, "\n%s%s%s", r.verdict(), r.lines(Short), r.lines(Warn)); err != nil {
		return fmt.Errorf("writing the verdict: %w", err)
	}
	return writeWorst(to, r.Worst, r.Connections)
}

// verdict is the sentence that matters.
func (r Report) verdict() string {
	verdict := fmt.Sprintf("This host holds %s connections: %s is the first wall.\n", thousands(uint64(r.Holds)), r.FirstWall)
	for _, f := range r.Findings {
		if f.State == Bad {
			verdict += fmt.Sprintf("But %s (%s): %s.\n", f.Name, f.Source, f.Note)
		}
	}
	if len(r.Unread) > 0 {
		verdict += fmt.Sprintf("%s can't be read, and may be lower: %s.\n", plural.Count(len(r.Unread), "limit"), strings.Join(r.Unread, ", "))
	}
	return verdict
}

// lines are the fixes of findings of a state, each once.
func (r Report) lines(state State) string {
	var b strings.Builder
	seen := map[Fix]bool{}
	for _, f := range r.Findings {
		if f.State != state {
			continue
		}
		for _, fix := range f.Fixes {
			if !seen[fix] {
				seen[fix] = true
				fmt.Fprintf(&b, "  %-28s %s\n", fix.Where+":", fix.Line)
			}
		}
	}
	if b.Len() == 0 {
		return ""
	}
	if state == Short {
		return fmt.Sprintf("To hold %s:\n%s", thousands(uint64(r.Connections)), b.String())
	}
	return "To look at as well:\n" + b.String()
}

// thousands writes 1234567 as 1,234,567, and what stands for infinity in words.
func thousands(n uint64) string {
	if n >= 1<<50 {
		return "no limit"
	}
	digits := strconv.FormatUint(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// mebibytes rounds bytes down.
func mebibytes(n uint64) string { return thousands(n>>20) + " MiB" }
