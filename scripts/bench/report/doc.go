// Command report writes docs/benchmarks.md and its pictures from the summary.json
// of a run of "roostbench suite":
//
//	report -summary bin/bench/out/summary.json -docs docs
//
// All figures and verdicts are computed from the summary; page.md.tmpl has the
// words around them. What was not measured is left out or said to be missing.
// It writes the summary beside the pictures, too, so that the page can be made
// again, and the figures that README.md quotes, where there is one above the
// directory.
package main
