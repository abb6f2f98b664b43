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
		{Step: "upgrade", Server: "roost", Round: 1, Figures: []figure{{Name: "pause", At: 1000, Value: 3, Unit: "ms"}, {Name: "pause", At: 5000, Value: 7, Unit: "ms"}}},
	}}
	for page, want := range map[string]string{
		"| <!-- idle roost: RssAnon a connection -->1 B<!-- / --> |": "| <!-- idle roost: RssAnon a connection -->170 B<!-- / --> |",
		"<!-- idle nbio: RssAnon a connection -->1 B<!-- / -->":      "<!-- idle nbio: RssAnon a connection -->1 B<!-- / -->",
		"165 B": "165 B",
		"<!-- upgrade roost: pause at 5,000 -->1 ms<!-- / --> <!-- upgrade roost: pause -->1 ms<!-- / -->": "<!-- upgrade roost: pause at 5,000 -->7 ms<!-- / --> <!-- upgrade roost: pause -->1 ms<!-- / -->",
	} {
		if got := s.quote(page); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// README and deploy.md quote the run whose figures are in docs/benchmarks.md, and docs/benchmarks.md is what that run makes.
func TestPagesAreOfTheRun(t *testing.T) {
	t.Parallel()
	s, err := readSummary("../../../docs/bench/summary.json")
	if err != nil {
		t.Fatal(err)
	}
	for file, least := range map[string]int{"README.md": 8, "docs/deploy.md": 4} {
		text, err := os.ReadFile("../../../" + file)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(quoted.FindAllString(string(text), -1)); n < least {
			t.Errorf("%s quotes %d figures", file, n)
		}
		if s.quote(string(text)) != string(text) {
			t.Errorf("%s quotes another run: (cd scripts/bench && go run ./report -summary ../../docs/bench/summary.json -docs ../../docs)", file)
		}
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
