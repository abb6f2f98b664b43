package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"roost/bench/roostbench/internal/fairness"
	"roost/bench/roostbench/internal/report"
	"roost/bench/roostbench/internal/rules"
)

// writePage writes the tables of docs/abuse.md from the reports that --from names.
func (c *abuseCmd) writePage() error {
	var all []abuseReport
	for _, file := range c.From {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		var r abuseReport
		if err := json.Unmarshal(text, &r); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, r)
	}
	document, err := os.ReadFile(c.Page)
	if err != nil {
		return err
	}
	text := string(document)
	for name, table := range map[string]string{"abuse:counts": countsTable(all), "abuse:fairness": fairTable(all)} {
		if text, err = report.ReplaceBlock(text, name, table); err != nil {
			return fmt.Errorf("%s: %w", c.Page, err)
		}
	}
	return os.WriteFile(c.Page, []byte(text), 0o644)
}

// row is a line of a table.
func row(cells ...string) string { return "| " + strings.Join(cells, " | ") + " |\n" }

// head is the beginning of a table with a column for each report.
func head(all []abuseReport, first string) string {
	text, rule := []string{first}, []string{"---"}
	for _, r := range all {
		text, rule = append(text, r.Server), append(rule, "---")
	}
	return row(text...) + row(rule...)
}

// countsTable has the verdicts of each part.
func countsTable(all []abuseReport) string {
	parts := []struct {
		name     string
		verdicts func(abuseReport) []rules.Verdict
	}{
		{"Frames", func(r abuseReport) []rules.Verdict { return verdictsOf(r, rules.Wire) }},
		{"Requests", func(r abuseReport) []rules.Verdict { return verdictsOf(r, rules.Handshake) }},
		{"Harm", func(r abuseReport) (all []rules.Verdict) {
			for _, h := range r.Harm {
				all = append(all, h.Verdict)
			}
			return all
		}},
		{"Fairness", func(r abuseReport) (all []rules.Verdict) {
			for _, f := range r.Fairness {
				all = append(all, fairVerdict(f))
			}
			return all
		}},
	}
	text := head(all, "")
	for _, part := range parts {
		cells := []string{part.name}
		for _, r := range all {
			cells = append(cells, counts(part.verdicts(r)))
		}
		text += row(cells...)
	}
	cells := []string{"RssAnon before and after harm, MiB"}
	for _, r := range all {
		before, known := r.Value("RssAnon before harm")
		after, _ := r.Value("RssAnon after harm")
		if !known {
			cells = append(cells, "")
			continue
		}
		cells = append(cells, report.Number(before)+", "+report.Number(after))
	}
	return text + row(cells...)
}

func verdictsOf(r abuseReport, group string) (all []rules.Verdict) {
	for _, c := range r.Cases {
		if c.Group == group {
			all = append(all, c.Verdict)
		}
	}
	return all
}

func fairVerdict(r fairness.Result) rules.Verdict {
	if r.Kept() {
		return rules.Kept
	}
	return rules.Broken
}

// counts is "102 ok" or "82 ok, 5 advice, 15 FAIL".
func counts(all []rules.Verdict) string {
	n := map[rules.Verdict]int{}
	for _, v := range all {
		n[v]++
	}
	var text []string
	for _, v := range []rules.Verdict{rules.Kept, rules.Advice, rules.Broken} {
		if n[v] > 0 {
			text = append(text, fmt.Sprintf("%d %s", n[v], v))
		}
	}
	return strings.Join(text, ", ")
}

// fairTable has a row for each case of fairness, and what became of the honest.
func fairTable(all []abuseReport) string {
	text := head(all, "While others do this")
	for _, name := range fairness.Names() {
		cells, some := []string{name}, false
		for _, r := range all {
			cell := ""
			for _, f := range r.Fairness {
				if f.Name == name {
					cell, some = fairCell(f), true
				}
			}
			cells = append(cells, cell)
		}
		if some {
			text += row(cells...)
		}
	}
	return text
}

// fairCell is how soon new clients were admitted, or who was not served.
func fairCell(r fairness.Result) string {
	var text []string
	if r.Kept() {
		text = append(text, "all served, p99 "+milli(r.NewClients.P99)+" ms")
	}
	for _, s := range []struct {
		name  string
		share fairness.Share
	}{{"new clients", r.NewClients}, {"`/health`", r.Health}, {"`/metrics`", r.Metrics}, {"delivered", r.Delivered}} {
		if p := s.share.Percent(); p < 100 {
			text = append(text, fmt.Sprintf("%s %s%%", s.name, report.Number(min(p, 99.9))))
		}
	}
	if r.Lost > 0 {
		text = append(text, fmt.Sprintf("%d connections lost", r.Lost))
	}
	if r.Wronged != "" {
		text = append(text, r.Wronged)
	}
	return strings.Join(text, ", ") + fmt.Sprintf("; %.0f MiB", r.Memory)
}
