package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// made runs the program on testdata/summary.json, which a short run left, and
// returns the directory and the page.
func made(t *testing.T) (dir, page string) {
	t.Helper()
	dir = t.TempDir()
	if err := run("testdata/summary.json", dir, "", false); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "benchmarks.md"))
	if err != nil {
		t.Fatal(err)
	}
	return dir, string(text)
}

func TestPage(t *testing.T) {
	t.Parallel()
	dir, page := made(t)
	for _, want := range []string{
		"| CPU | AMD EPYC, 2 cores |", "| Redis | 7.0.15 |", // the machine
		"### 10,000 a second to 5,000 connections", "`roostbench deliver --connections=5000 ", // a step and its command
		"| RssAnon at 18,000, MiB | 29.3 | 386 | 39.2 | 0.08 |",                         // a row
		"| At most 850 B of RssAnon an idle connection |  | not measured in this run |", // not that of a short run
		"| and no more than any peer's | 0.90 times nbio's (61.8 and 68.5) | met |",
		"times gorilla's (61.8 and 97.4) | **not met** |",
		"| A handshake: CPU, µs | 61.8 | 97.4 | 68.5 |  | 0.63 |", // at a glance
		"![Memory of idle connections](bench/memory.svg)",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is missing", want)
		}
	}
	for _, unwanted := range []string{"--pid", "--url", "--json", "127.0.0.1", "\n\n\n", "duplicates", "<no value>", "%!"} {
		if strings.Contains(page, unwanted) {
			t.Errorf("%q is in it", unwanted)
		}
	}
	// The files that the page was made from make the same page.
	again := t.TempDir()
	if err := run(filepath.Join(dir, "bench", "summary.json"), again, "", false); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(again, "benchmarks.md")); err != nil || string(text) != page {
		t.Errorf("another page, %v", err)
	}
}

// New measurements replace those of the same steps on the page, and the rest stays.
func TestKeep(t *testing.T) {
	t.Parallel()
	dir, before := made(t)
	s := burstSummary(100, 100)
	s.Commit = "abc"
	again := filepath.Join(t.TempDir(), "summary.json")
	for range 2 { // the second time in place of the first
		if err := s.write(again); err != nil {
			t.Fatal(err)
		}
		if err := run(again, dir, "while others ran", true); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "benchmarks.md"))
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	for _, want := range []string{"| RssAnon at 18,000, MiB | 29.3 | 386 | 39.2 | 0.08 |", "### bursts", "1 round on 0001-01-01 00:00 UTC, commit abc, while others ran: `roostbench "} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if strings.Contains(before, "### bursts") || strings.Count(page, "### bursts") != 1+strings.Count(page, "### bursts and") {
		t.Error("the table of bursts is there before, or twice")
	}
}

// One server measured again keeps its column, and the page says when which of them was measured.
func TestKeepOfOneServer(t *testing.T) {
	t.Parallel()
	dir, _ := made(t)
	s, err := readSummary(filepath.Join(dir, "bench", "summary.json"))
	if err != nil {
		t.Fatal(err)
	}
	again := &summary{Commit: "abc", Reports: slices.Clone(s.of("idle-quick", ours))}
	again.Reports[0].Figures = []figure{{Name: "RssAnon", At: 18000, Value: 7, Unit: "MiB"}}
	path := filepath.Join(t.TempDir(), "summary.json")
	if err := again.write(path); err != nil {
		t.Fatal(err)
	}
	if err := run(path, dir, "", true); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "benchmarks.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| RssAnon at 18,000, MiB | 7 | 386 | 39.2 | 0.02 |",
		"1 round of roost on 0001-01-01 00:00 UTC, commit abc; of gorilla, nbio with the rest: `roostbench idle ",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is missing", want)
		}
	}
}

func TestKeepOfGoBenchmarks(t *testing.T) {
	t.Parallel()
	one := func(name string, ns float64) benchmark {
		return benchmark{"roost/hub", name, map[string]float64{"ns/op": ns}}
	}
	before := &summary{Benchmarks: []benchmark{one("A", 1), one("B", 2)}}
	got := before.with(&summary{Benchmarks: []benchmark{one("B", 3), one("C", 4)}}, "").Benchmarks
	if want := []benchmark{one("A", 1), one("B", 3), one("C", 4)}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestPictures(t *testing.T) {
	t.Parallel()
	dir, page := made(t)
	pictures, err := filepath.Glob(filepath.Join(dir, "bench", "*.svg"))
	if err != nil || len(pictures) < 5 {
		t.Fatalf("%v, %v", pictures, err)
	}
	for _, path := range pictures {
		if !strings.Contains(page, "(bench/"+filepath.Base(path)+")") {
			t.Errorf("%s is not shown", path)
		}
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		decoder := xml.NewDecoder(file)
		for err == nil {
			_, err = decoder.Token()
		}
		if !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", path, err)
		}
		_ = file.Close()
	}
}

func TestSummaryHasToBeThere(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "s.json")
	if err := os.WriteFile(empty, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(empty, t.TempDir(), "", false); !errors.Is(err, errEmpty) {
		t.Errorf("without measurements: %v", err)
	}
	if err := run(empty+"x", t.TempDir(), "", false); err == nil || !strings.Contains(err.Error(), "run.sh") {
		t.Errorf("without a file: %v", err)
	}
}

// taken is a measurement of one figure.
func taken(step, server string, round int, name string, value float64) measurement {
	return measurement{Step: step, Server: server, Round: round, Figures: []figure{{Name: name, Value: value}}}
}

func TestPairsAreOfTheSameRound(t *testing.T) {
	t.Parallel()
	s := &summary{Reports: []measurement{
		taken("d", ours, 1, p50, 1), taken("d", ours, 2, p50, 30), taken("d", ours, 3, p50, 6), taken("d", ours, 4, p50, 9),
		taken("d", "good", 1, p50, 2), taken("d", "good", 2, p50, 20), taken("d", "good", 3, p50, 5),
		taken("d", "bad", 1, p50, 200), taken("d", "bad", 2, p50, 20), taken("d", "bad", 3, p50, 50),
		taken("d", window, 1, p50, 0.1),
	}}
	// 1/2, 30/20 and 6/5: the fourth round has no peer.
	if r := s.pairs("d", p50, "ms"); r == nil || r.value != 1.2 || !strings.Contains(r.text, "good's, median of 3 pairs") {
		t.Errorf("%+v", r)
	}
	if r := s.pairs("d", p99, "ms"); r != nil {
		t.Errorf("of nothing: %+v", r)
	}
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		r    *result
		want string
	}{
		{nil, "not measured in this run"},
		{&result{10, "10 B"}, "met"},
		{&result{10.1, "10.1 B"}, "**not met**"},
	}
	for _, tt := range tests {
		if got := atMost("x", "at most 10 B", tt.r, 10); got.Word() != tt.want {
			t.Errorf("%+v: %s, want %s", tt.r, got.Word(), tt.want)
		}
	}
}

func TestLosses(t *testing.T) {
	t.Parallel()
	s := &summary{Reports: []measurement{
		taken("a", ours, 1, "missing", 0), taken("b", window, 1, "missing", 2), taken("b", usual, 1, "missing", 100),
		taken("b", ours, 1, "duplicates", 1),
	}}
	if r := s.losses(); r == nil || r.value != 3 {
		t.Errorf("%+v", r)
	}
}

func TestSeries(t *testing.T) {
	t.Parallel()
	s := &summary{Benchmarks: []benchmark{
		{"roost/hub", "RegistryBytes/n=10000", map[string]float64{"B/conn": 100}},
		{"roost/hub", "RegistryBytes/n=1000000", map[string]float64{"B/conn": 120}},
		{"roost/hub", "RegistryBytes/n=10000/peruser=8", map[string]float64{"B/conn": 50}},
		{"roost/netpoll", "Wheel/10000", map[string]float64{"ns/op": 5}},
		{"roost/redisfeed", "Feed", map[string]float64{"ns/op": 7}},
		{"roost/hub", "DeliverAbsent/n=1000", map[string]float64{"ns/op": 90, "allocs/op": 0}},
		{"roost/hub", "DeliverAbsent/n=1000000", map[string]float64{"ns/op": 110, "allocs/op": 0}},
	}}
	var names []string
	for _, one := range s.allSeries() {
		names = append(names, one.name)
	}
	if got := strings.Join(names, "; "); got != "hub RegistryBytes; hub RegistryBytes peruser=8; netpoll Wheel; hub DeliverAbsent" {
		t.Errorf("series %s", got)
	}
	if r := s.flatness(); r == nil || r.value != 1.2 {
		t.Errorf("flatness %+v", r)
	}
	if r := s.absent(); r == nil || r.value != 110 {
		t.Errorf("absent %+v", r)
	}
	if lines := s.otherBenchmarks(); len(lines) != 1 || lines[0] != "redisfeed Feed: 7 ns/op" {
		t.Errorf("others: %q", lines)
	}
	if table := s.benchTable(); !strings.Contains(table, "| hub RegistryBytes, B/conn |  | 100 |") || !strings.Contains(table, "1,000,000") {
		t.Error(table)
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{
		0: "0", 5: "5", 1234.5: "1,234", 12.34: "12.3", 1.234: "1.23", 0.0123: "0.012", -12.34: "−12.3", 1e6: "1,000,000", -1234: "−1,234", 0.0001: "0",
	} {
		if got := number(v); got != want {
			t.Errorf("%v: got %s, want %s", v, got, want)
		}
	}
}

func TestAxes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		top, end float64
		ticks    int
		last     string
	}{
		{386, 500, 6, "500"}, {9.84, 12, 7, "12"}, {0, 1.2, 7, "1.2"}, {18_000, 20_000, 5, "20,000"}, {0.03, 0.04, 5, "0.04"},
	}
	for _, tt := range tests {
		end, ticks := upTo(tt.top, 5)
		if diff := end - tt.end; diff > 1e-9 || diff < -1e-9 || len(ticks) != tt.ticks || ticks[len(ticks)-1].Label != tt.last {
			t.Errorf("%v: to %v with %v", tt.top, end, ticks)
		}
	}
}
