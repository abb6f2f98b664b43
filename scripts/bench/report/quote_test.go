package main

import (
	"os"
	"strings"
	"testing"
)

func TestQuote(t *testing.T) {
	t.Parallel()
	s := &summary{Reports: []measurement{
		{Step: "idle", Server: "roost", Round: 1, Figures: []figure{{Name: "RssAnon a connection", Value: 165, Unit: "B"}}},
		{Step: "idle", Server: "roost", Round: 2, Figures: []figure{{Name: "RssAnon a connection", Value: 175, Unit: "B"}}},
	}}
	for page, want := range map[string]string{
		"| <!-- idle roost: RssAnon a connection -->1 B<!-- / --> |": "| <!-- idle roost: RssAnon a connection -->170 B<!-- / --> |",
		"<!-- idle nbio: RssAnon a connection -->1 B<!-- / -->":      "<!-- idle nbio: RssAnon a connection -->1 B<!-- / -->",
		"165 B": "165 B",
	} {
		if got := s.quote(page); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// README quotes the run whose figures are in docs/benchmarks.md, and docs/benchmarks.md is what that run makes.
func TestPagesAreOfTheRun(t *testing.T) {
	t.Parallel()
	s, err := readSummary("../../../docs/bench/summary.json")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(quoted.FindAllString(string(readme), -1)); n < 8 {
		t.Errorf("README.md quotes %d figures", n)
	}
	if s.quote(string(readme)) != string(readme) {
		t.Error("README.md quotes another run: (cd scripts/bench && go run ./report -summary ../../docs/bench/summary.json -docs ../../docs)")
	}
	drawn, err := drawAll(s, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	want, err := page(s, drawn)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile("../../../docs/benchmarks.md"); err != nil || strings.TrimSpace(string(got)) != strings.TrimSpace(string(want)) {
		t.Errorf("docs/benchmarks.md is of another run, or of other words (%v)", err)
	}
}
