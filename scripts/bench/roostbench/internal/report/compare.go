package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// Comparison is the medians of one step for each server.
type Comparison struct {
	Step    string   `json:"step"`
	Title   string   `json:"title,omitempty"`
	Servers []string `json:"servers"` // in the order in which they came
	Rows    []Row    `json:"rows"`
}

// Row is one figure.
type Row struct {
	Name    string      `json:"name"`
	Unit    string      `json:"unit,omitempty"`
	Medians []float64   `json:"medians"` // one for each server
	Ratios  []float64   `json:"ratios"`  // of the first server's median to this one's; 0 where there is none
	Values  [][]float64 `json:"values"`  // of each server, sorted
}

// Compare makes a comparison of each step. The first server that comes is the
// one that the others are compared with.
func Compare(reports []Report) []Comparison {
	var all []Comparison
	for _, r := range reports {
		i := slices.IndexFunc(all, func(c Comparison) bool { return c.Step == r.Step })
		if i < 0 {
			all = append(all, Comparison{Step: r.Step, Title: r.Title})
			i = len(all) - 1
		}
		all[i].add(r)
	}
	for i := range all {
		all[i].finish()
	}
	return all
}

func (c *Comparison) add(r Report) {
	server := slices.Index(c.Servers, r.Server)
	if server < 0 {
		server = len(c.Servers)
		c.Servers = append(c.Servers, r.Server)
	}
	for _, f := range r.Figures {
		row := slices.IndexFunc(c.Rows, func(row Row) bool { return row.Name == f.Label() })
		if row < 0 {
			row = len(c.Rows)
			c.Rows = append(c.Rows, Row{Name: f.Label(), Unit: f.Unit})
		}
		for len(c.Rows[row].Values) <= server {
			c.Rows[row].Values = append(c.Rows[row].Values, nil)
		}
		c.Rows[row].Values[server] = append(c.Rows[row].Values[server], f.Value)
	}
}

// finish makes medians and ratios.
func (c *Comparison) finish() {
	for i := range c.Rows {
		row := &c.Rows[i]
		for len(row.Values) < len(c.Servers) {
			row.Values = append(row.Values, nil)
		}
		for _, values := range row.Values {
			slices.Sort(values)
			row.Medians = append(row.Medians, Median(values))
		}
		for _, m := range row.Medians {
			ratio := 0.0
			if m != 0 {
				ratio = row.Medians[0] / m
			}
			row.Ratios = append(row.Ratios, ratio)
		}
	}
}

// Median of sorted values; 0 of none.
func Median(sorted []float64) float64 {
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// Table writes a comparison: medians, and behind those of the others the first
// server's as a multiple of them.
func (c *Comparison) Table(w io.Writer) error {
	_, _ = fmt.Fprintf(w, "\n%s (medians; ×: %s's as a multiple of the other's)\n", cmp.Or(c.Title, c.Step), c.Servers[0])
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprint(t, "\t\t")
	for i, server := range c.Servers {
		_, _ = fmt.Fprintf(t, "%s\t", server)
		if i > 0 {
			_, _ = fmt.Fprint(t, "×\t")
		}
	}
	_, _ = fmt.Fprintln(t)
	for _, row := range c.Rows {
		_, _ = fmt.Fprintf(t, "%s\t%s\t", row.Name, row.Unit)
		for i := range c.Servers {
			_, _ = fmt.Fprintf(t, "%s\t", Number(row.Medians[i]))
			if i > 0 {
				_, _ = fmt.Fprintf(t, "%s\t", ratio(row.Ratios[i]))
			}
		}
		_, _ = fmt.Fprintln(t)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("writing the table: %w", err)
	}
	return nil
}

func ratio(r float64) string {
	if r == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", r)
}

// Row is the row of a figure, by its label; nil if there is none.
func (c *Comparison) Row(name string) *Row {
	i := slices.IndexFunc(c.Rows, func(row Row) bool { return row.Name == name })
	if i < 0 {
		return nil
	}
	return &c.Rows[i]
}
