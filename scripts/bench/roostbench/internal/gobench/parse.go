package gobench

import (
	"fmt"
	"strconv"
	"strings"
)

// Result is one line of one benchmark.
type Result struct {
	Package string             `json:"package"`
	Name    string             `json:"name"`    // without "Benchmark" and the number of processors, like Wheel/n=1000
	Metrics map[string]float64 `json:"metrics"` // by unit: ns/op, B/conn, …
}

// Parse reads the output of go test -bench. Lines that are not results are
// skipped.
func Parse(text string) []Result {
	var all []Result
	pkg := ""
	for line := range strings.Lines(text) {
		if rest, found := strings.CutPrefix(line, "pkg: "); found {
			pkg = strings.TrimSpace(rest)
			continue
		}
		if r, ok := parseLine(line); ok {
			r.Package = pkg
			all = append(all, r)
		}
	}
	return all
}

// parseLine reads "BenchmarkX/n=1-2   1000   5.5 ns/op   7 B/conn".
func parseLine(line string) (Result, bool) {
	words := strings.Fields(line)
	if len(words) < 4 || len(words)%2 != 0 || !strings.HasPrefix(words[0], "Benchmark") {
		return Result{}, false
	}
	if _, err := strconv.Atoi(words[1]); err != nil {
		return Result{}, false
	}
	r := Result{Name: withoutProcessors(strings.TrimPrefix(words[0], "Benchmark")), Metrics: map[string]float64{}}
	for i := 2; i < len(words); i += 2 {
		value, err := strconv.ParseFloat(words[i], 64)
		if err != nil {
			return Result{}, false
		}
		r.Metrics[words[i+1]] = value
	}
	return r, true
}

// withoutProcessors cuts the "-2" that stands for GOMAXPROCS.
func withoutProcessors(name string) string {
	at := strings.LastIndexByte(name, '-')
	if at < 0 {
		return name
	}
	if _, err := strconv.Atoi(name[at+1:]); err != nil {
		return name
	}
	return name[:at]
}

// String is for a log.
func (r Result) String() string { return fmt.Sprintf("%s %s %v", r.Package, r.Name, r.Metrics) }
