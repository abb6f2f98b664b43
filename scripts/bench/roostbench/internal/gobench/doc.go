// Package gobench runs ordinary Go benchmarks and reads what they print. Package
// golang.org/x/perf/benchfmt reads more of the format; this needs a name, a
// number and units.
package gobench
