package main

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"roost/bench/roostbench/internal/report"
)

const emptyPage = `# Page
<!-- feeds:machine -->
<!-- /feeds:machine -->
<!-- feeds:spread -->
what was here before
<!-- /feeds:spread -->
<!-- feeds:subscribe -->
<!-- /feeds:subscribe -->
<!-- feeds:sizing -->
<!-- /feeds:sizing -->
end
`

// Everything works with small numbers, and what is counted is right. How long things take is not looked at.
func TestFeedsOfRoost(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	roost, file, page := buildRoost(t), filepath.Join(dir, "feeds.json"), filepath.Join(dir, "page.md")
	if err := os.WriteFile(page, []byte(emptyPage), 0o600); err != nil {
		t.Fatal(err)
	}
	var all *feedsSummary
	var err error
	for range 3 { // a busy machine may stand still for so long that Roost takes the link to Redis for lost
		code, said := try(t, "feeds", "--program="+roost, "--instances=2", "--users=10", "--notify-rate=100", "--warmup=20ms", "--window=500ms",
			"--subscribers=60", "--hold=10ms", "--retry-delay=200ms", "--rounds=1", "--logs="+dir+"/log", "--json="+file, "--page="+page)
		if code != 0 {
			t.Fatalf("exit code %d: %s", code, said)
		}
		all, err = readFeeds(file)
		if err == nil && !slices.ContainsFunc(all.Reports, func(r report.Report) bool { missing, _ := r.Value(figMissing); return missing > 0 }) {
			break
		}
	}
	if err != nil || len(all.Reports) != 6 {
		t.Fatalf("%d reports, want 6: %v", len(all.Reports), err)
	}
	for _, r := range all.Reports {
		checkFeed(t, r)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# Page\n", "| " + figReads + ", /s | 2 |", "| " + figCommands + " | 0 | ", "0 were missing, 0 came twice", "\nend\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the page lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(string(text), "what was here before") || strings.Contains(strings.Join(all.Args, " "), "JWT") {
		t.Error("something is there that should not")
	}
}

// checkFeed checks what can be known of one measurement.
func checkFeed(t *testing.T, r report.Report) {
	t.Helper()
	is := func(figure string, low, high float64) {
		t.Helper()
		if v, ok := r.Value(figure); !ok || v < low || v > high {
			t.Errorf("%s of %s: %s is %v (%v), want %v to %v", r.Step, r.Server, figure, v, ok, low, high)
		}
	}
	for _, figure := range []string{figMissing, figTwice, figAstray, figDisorder, figLost} {
		is(figure, 0, 0)
	}
	if len(r.Problems) > 0 {
		t.Errorf("%s of %s: problems %v", r.Step, r.Server, r.Problems)
	}
	if r.Step == "subscribe" {
		least, most := 0.0, 0.0
		switch r.Server {
		case "user":
			least, most = 1, 60 // as many as come together are in one
		case "sharded":
			least, most = 60, 60
		}
		is(figCommands, least, most)
		is(figCut, 1e-9, 60)
		is(figBack, 1e-9, 60)
		is(figAway, 1e-9, 60)
		is(figHandshake, 0.001, 1e6)
		is(figFastRoost, 0.001, 1e6)
		is(figPublished, 2*30+1, 1e6) // to the other half of the users, after the cut and after the restart
		return
	}
	delivers, _ := r.Value(figDelivers)
	reads, _ := r.Value(figReads)
	// About half of the notifications are for users of the first of two instances; by lot, but for always the same.
	if share := reads / delivers; r.Server == "pattern" && (share < 1.5 || share > 2.7) || r.Server != "pattern" && share != 1 {
		t.Errorf("%s reads %v times what it delivers", r.Server, share)
	}
	is(figPublished, 104, 104) // 200 a second, for 520 ms
	is(figCPU, 0.001, 200)
	is(figRedisOut, 0.1, 1e6)
	is(figBusy, 0, 100) // on many processors it may be less than the hundredths of a second in which the kernel counts
}

// The tables in docs/scaling.md are those of the measurement beside it.
func TestScalingPageIsOfTheMeasurement(t *testing.T) {
	t.Parallel()
	all, err := readFeeds("../../../docs/bench/feeds.json")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../../docs/scaling.md")
	if err != nil {
		t.Fatal(err)
	}
	want, err := all.page(string(text))
	if err != nil || want != string(text) {
		t.Errorf("docs/scaling.md is not what scripts/bench/feeds.sh --from docs/bench/feeds.json writes (%v)", err)
	}
}

func TestFeedsRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args []string
		want string
	}{
		"too many instances":  {[]string{"--instances=17"}, "from 1 to 16"},
		"none and one":        {[]string{"--instances=0,1"}, "0 alone"},
		"too many users":      {[]string{"--users=1001"}, "from 1 to 1000"},
		"another feed":        {[]string{"--feeds=other"}, "sharded"},
		"too many to connect": {[]string{"--subscribers=18001"}, "18000"},
		"endless":             {[]string{"--window=2m"}, "1m"},
		"no rounds":           {[]string{"--rounds=0"}, "from 1 to"},
		"a program of nobody": {[]string{"--program=/nowhere/roost", "--subscribers=0"}, "/nowhere/roost"},
		"no such file":        {[]string{"--from=/nowhere/feeds.json"}, "/nowhere/feeds.json"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"feeds"}, tt.args...)
			if text := strings.Join(args, " "); !strings.Contains(text, "--program") && !strings.Contains(text, "--from") {
				args = append(args, "--program=x")
			}
			if code, said := try(t, args...); code != 1 || !strings.Contains(said, tt.want) {
				t.Errorf("exit code %d, %s", code, said)
			}
		})
	}
}

// The flags' defaults are the assumptions of docs/scaling.md.
func TestSizingDefaults(t *testing.T) {
	t.Parallel()
	var c sizingCmd
	parser, err := kong.New(&c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(nil); err != nil || !reflect.DeepEqual(c.sizing, *defaultSizing()) {
		t.Errorf("%+v, want %+v, %v", c.sizing, *defaultSizing(), err)
	}
}

func TestSizing(t *testing.T) {
	t.Parallel()
	var all feedsSummary
	add := func(step, feed string, figures map[string]float64) {
		r := report.Report{Step: step, Server: feed}
		for name, value := range figures {
			r.Add(name, value, "")
		}
		all.Reports = append(all.Reports, r)
	}
	add("spread-1", "pattern", map[string]float64{figCPU: 1, figReads: 1000, figRedisNote: 10})
	add("spread-5", "pattern", map[string]float64{figCPU: 5, figReads: 5000, figRedisNote: 18})
	add("spread-5", "user", map[string]float64{figReads: 1000, figRedisOut: 1000})
	add("subscribe", "pattern", map[string]float64{figAnon: 1, figRedisMemory: 10, figFastRedis: 9})
	add("subscribe", "user", map[string]float64{figRedisMemory: 110, figHandRedis: 5, figFastRedis: 12})
	add("subscribe", "sharded", map[string]float64{
		figCommands: 1024, figRedisMemory: 210, figHandshake: 60, figHandRedis: 10, figAnon: 2, figFastRoost: 40, figFastRedis: 20,
	})
	want := costs{
		deliver: 40, read: 10, first: 9, more: 2, user: 12, sharded: 20, message: 200,
		shake: 60, ask: 5, askSharded: 10, extra: 1024, keep: 100, keepSharded: 200,
	}
	if got := all.costs(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	z := size{sizing: defaultSizing(), costs: want, C: 6e6, m: 100e3}
	if z.R() != 1e5 || z.M() != 90 || z.W() != 2e4 || z.S() != 5 { // (100,000·20 + 20,000·10) µs a second, half a core each
		t.Errorf("R %v, M %v, W %v, S %v", z.R(), z.M(), z.W(), z.S())
	}
	code, said := try(t, "sizing", "--from=/nowhere/feeds.json", "--connections=1", "--per-machine=1,2")
	if code != 1 || !strings.Contains(said, "one for each of --connections") {
		t.Errorf("exit code %d, %s", code, said)
	}
}
