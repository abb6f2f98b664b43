// Command report writes docs/benchmarks.md and its pictures from the summary.json
// of a run of "roostbench suite":
//
//	report -summary bin/bench/out/summary.json -docs docs
//
// All figures and verdicts are computed from the summary; page.md.tmpl has the
// words around them. Figures that were not measured are left out or named as
// missing. It writes the summary beside the pictures, too, so that the page can
// be made again, and the figures that README.md quotes, if there is a README.md
// above the directory.
package main
