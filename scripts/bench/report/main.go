package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	summary := flag.String("summary", "bin/bench/out/summary.json", "what roostbench suite wrote")
	docs := flag.String("docs", "docs", "directory that gets benchmarks.md and bench/")
	keep := flag.Bool("keep", false, "keep what DOCS/bench/summary.json has of steps that the summary has not")
	note := flag.String("note", "", "what to say beside the time of measurements that are kept apart, such as: while other programs ran")
	flag.Parse()
	if err := run(*summary, *docs, *note, *keep); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

// run writes everything.
func run(summaryPath, docs, note string, keep bool) error {
	s, err := readSummary(summaryPath)
	if err != nil {
		return err
	}
	pictures := filepath.Join(docs, "bench")
	if keep {
		old, err := readSummary(filepath.Join(pictures, "summary.json"))
		if err != nil {
			return err
		}
		s = old.with(s, note)
	}
	if err := os.MkdirAll(pictures, 0o755); err != nil {
		return err
	}
	drawn, err := drawAll(s, pictures)
	if err != nil {
		return err
	}
	text, err := page(s, drawn)
	if err != nil {
		return err
	}
	if err := s.write(filepath.Join(pictures, "summary.json")); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(docs, "benchmarks.md"), text, 0o644); err != nil {
		return err
	}
	return errors.Join(s.quoteIn(filepath.Join(docs, "..", "README.md")), s.quoteIn(filepath.Join(docs, "deploy.md")))
}
