package main

import (
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"roost/bench/roostbench/internal/harm"
	"roost/bench/roostbench/internal/report"
	"roost/bench/roostbench/internal/rules"
)

// tell writes the table, the file, and the counts. Its error is for the exit
// status.
func (c *abuseCmd) tell(env *environment, all *abuseReport) error {
	counts := map[rules.Verdict]int{}
	for _, r := range all.Cases {
		counts[r.Verdict]++
	}
	for _, r := range all.Harm {
		counts[r.Verdict]++
	}
	for _, r := range all.Fairness {
		counts[fairVerdict(r)]++
	}
	cases := len(all.Cases) + len(all.Harm) + len(all.Fairness)
	all.Add("kept", float64(counts[rules.Kept]), "")
	all.Add("advice not taken", float64(counts[rules.Advice]), "")
	all.Add("broken", float64(counts[rules.Broken]), "")
	if c.JSON != "" {
		if err := report.WriteFile(c.JSON, all); err != nil {
			return err
		}
	}
	if err := errors.Join(c.table(env, all.Cases), c.harmTable(env, all.Harm, &all.Report), c.fairnessTable(env, all.Fairness)); err != nil {
		return fmt.Errorf("writing the table: %w", err)
	}
	_, err := fmt.Fprintf(env.stdout, "\n%s: %d cases: %d ok, %d advice, %d FAIL\n",
		all.Server, cases, counts[rules.Kept], counts[rules.Advice], counts[rules.Broken])
	if n := counts[rules.Broken]; n > 0 {
		return fmt.Errorf("%w: %d of %d", errBroken, n, cases)
	}
	return err
}

func (c *abuseCmd) table(env *environment, cases []rules.Result) error {
	if len(cases) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(env.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "verdict\tgroup\tsection\tcase\tsent\twanted\tcame")
	for _, r := range cases {
		if c.Failures && r.Verdict == rules.Kept {
			continue
		}
		came := r.Came
		if r.Way != "" {
			came += " (" + r.Way + ")"
		}
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Verdict, r.Group, r.Section, r.Name, r.Sent, r.Want, came)
	}
	return t.Flush()
}

func (c *abuseCmd) harmTable(env *environment, all []harm.Result, figures *report.Report) error {
	if len(all) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(env.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(t, "\nverdict\tharm\twanted\tcame\thealthy p99\tmax, %s at most\n", c.Bound)
	for _, r := range all {
		if c.Failures && r.Verdict == rules.Kept {
			continue
		}
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s ms\t%s ms\n", r.Verdict, r.Name, r.Want, r.Came, milli(r.Healthy.P99), milli(r.Healthy.Max))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	before, known := figures.Value("RssAnon before harm")
	after, _ := figures.Value("RssAnon after harm")
	if known {
		_, _ = fmt.Fprintf(env.stdout, "\nthe server's RssAnon before %s MiB, after %s MiB\n", report.Number(before), report.Number(after))
	}
	return nil
}

func milli(d time.Duration) string { return report.Number(d.Seconds() * 1e3) }
