package faults

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// report prints the table. Where ROOST_FAULTS_PAGE names a page it is written into that: when all went well only.
func report(t *testing.T, results [][]result) {
	t.Helper()
	text := table(results)
	t.Log("\n" + text)
	path := os.Getenv("ROOST_FAULTS_PAGE")
	if path == "" || t.Failed() {
		return
	}
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	written, err := between(string(page), text)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if err := os.WriteFile(path, []byte(written), 0o644); err != nil {
		t.Fatal(err)
	}
}

// table is a line for each scenario with each feed, in the order of the scenarios.
func table(results [][]result) string {
	var text strings.Builder
	var sum result
	text.WriteString("| What happens | Feed | Rounds | Due | Delivered | Counted | Told | Not told | Back after, median and longest |\n")
	text.WriteString("|---|---|--:|--:|--:|---|--:|--:|--:|\n")
	for _, f := range scenarios() {
		for _, feed := range results {
			for _, r := range feed {
				if r.scenario == f.name {
					text.WriteString(r.row())
					sum.rounds += r.rounds
					sum.tally.add(r.tally)
				}
			}
		}
	}
	fmt.Fprintf(&text, "\n%d rounds, %d deliveries due, %d delivered, %d told of, %d lost without a word; on %d processors, %s.\n",
		sum.rounds, sum.tally.due, sum.tally.delivered, sum.tally.told, sum.tally.untold, runtime.NumCPU(), runtime.Version())
	return text.String()
}

func (r result) row() string {
	counted := fmt.Sprintf("%.0f gaps", r.gaps)
	if r.gaps == 1 {
		counted = "1 gap"
	}
	if r.failed > 0 {
		counted += fmt.Sprintf(", %.0f failed", r.failed)
	}
	slices.Sort(r.recovered)
	median, longest := r.recovered[len(r.recovered)/2], r.recovered[len(r.recovered)-1]
	return fmt.Sprintf("| %s | `%s` | %d | %d | %d | %s | %d | %d | %s, %s |\n", r.scenario, r.feed, r.rounds,
		r.tally.due, r.tally.delivered, counted, r.tally.told, r.tally.untold, short(median), short(longest))
}

// short is a time with as many digits as it deserves.
func short(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(100 * time.Millisecond).String()
}

const (
	opening = "<!-- faults: written by scripts/faults -->\n"
	closing = "<!-- faults: end -->\n"
)

// between replaces what a page has between the two marks.
func between(page, text string) (string, error) {
	before, rest, ok := strings.Cut(page, opening)
	_, after, closed := strings.Cut(rest, closing)
	if !ok || !closed {
		return "", fmt.Errorf("there are no lines %q and %q", strings.TrimSpace(opening), strings.TrimSpace(closing))
	}
	return before + opening + "\n" + text + "\n" + closing + after, nil
}

func TestBetween(t *testing.T) {
	t.Parallel()
	page := "above\n" + opening + "old\n" + closing + "below\n"
	want := strings.Replace(page, "old", "\nnew\n", 1)
	if got, err := between(page, "new\n"); err != nil || got != want {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := between("above\n"+closing+opening, "new"); err == nil {
		t.Error("marks in the wrong order are taken")
	}
}
