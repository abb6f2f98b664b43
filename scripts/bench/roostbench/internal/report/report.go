package report

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"text/tabwriter"
	"time"
)

// Figure is one number.
type Figure struct {
	Name  string  `json:"name"`
	At    int     `json:"at,omitempty"` // with how many connections, where it was taken with several numbers of them
	Value float64 `json:"value"`
	Unit  string  `json:"unit,omitempty"`
}

// Report is one measurement of one server.
type Report struct {
	Step     string         `json:"step"` // what was measured: idle, connect, …
	Title    string         `json:"title,omitempty"`
	Server   string         `json:"server"`          // its label
	Round    int            `json:"round,omitempty"` // of a suite, from 1
	Time     time.Time      `json:"time"`
	Args     []string       `json:"args"` // of roostbench
	Figures  []Figure       `json:"figures"`
	Problems map[string]int `json:"problems,omitempty"` // what went wrong, how often
}

// Add appends a figure.
func (r *Report) Add(name string, value float64, unit string) { r.AddAt(name, 0, value, unit) }

// AddAt appends a figure that was taken with a number of connections, and will
// be with others.
func (r *Report) AddAt(name string, connections int, value float64, unit string) {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		value = 0
	}
	r.Figures = append(r.Figures, Figure{name, connections, value, unit})
}

// Problem notes that something went wrong n times more.
func (r *Report) Problem(text string, n int) {
	if r.Problems == nil {
		r.Problems = map[string]int{}
	}
	r.Problems[text] += n
}

// Label is the figure's name with its number of connections.
func (f Figure) Label() string {
	if f.At == 0 {
		return f.Name
	}
	return fmt.Sprintf("%s at %d", f.Name, f.At)
}

// Value returns a figure by its label.
func (r *Report) Value(name string) (float64, bool) {
	for _, f := range r.Figures {
		if f.Label() == name {
			return f.Value, true
		}
	}
	return 0, false
}

// Table writes a report for people.
func (r *Report) Table(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "\n%s %s\n", r.Server, r.Step); err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, f := range r.Figures {
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t\n", f.Label(), Number(f.Value), f.Unit)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("writing the table: %w", err)
	}
	for problem, n := range r.Problems {
		_, _ = fmt.Fprintf(w, "  problem, %d times: %s\n", n, problem)
	}
	return nil
}

// Number writes a figure with about three digits that mean something.
func Number(v float64) string {
	switch size := math.Abs(v); {
	case v == math.Trunc(v), size >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case size >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case size >= 1:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'f', 3, 64)
}

// WriteFile writes value as JSON.
func WriteFile(path string, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// ReadFile reads one report.
func ReadFile(path string) (Report, error) {
	var r Report
	text, err := os.ReadFile(path)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}
