package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"roost/bench/roostbench/internal/fairness"
	"roost/bench/roostbench/internal/report"
	"roost/bench/roostbench/internal/rules"
)

// kept makes an attempt up to three times, until nothing is wrong. A busy machine may stand still for longer than a server waits for a client;
// a rule that Roost breaks it breaks each time.
func kept(t *testing.T, attempt func() (wrong []string)) {
	t.Helper()
	var wrong []string
	for range 3 {
		if wrong = attempt(); len(wrong) == 0 {
			return
		}
		t.Log(strings.Join(wrong, "\n"))
	}
	t.Errorf("something is wrong each time, and the last time: %s", strings.Join(wrong, "\n"))
}

// Roost keeps every rule and bears all harm.
func TestAbuseOfRoost(t *testing.T) {
	t.Parallel()
	roost := buildRoost(t)
	kept(t, func() []string { return abuseOf(t, roost) })
}

// abuseOf says what Roost does wrong.
func abuseOf(t *testing.T, roost string) (wrong []string) {
	t.Helper()
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	dir := t.TempDir()
	file := filepath.Join(dir, "report.json")
	args := []string{"abuse", "--program=" + roost, "--env=WS_HANDSHAKE_TIMEOUT=6s", "--label=roost", "--json=" + file, "--logs=" + dir + "/log",
		"--harm=100ms", "--patience=30s", "--cut-off=30s", "--bound=20s", "--failures"}
	only := "--only=wire,handshake,harm"
	want := map[string]int{"wire": len(rules.Cases(rules.Wire)), "handshake": len(rules.Cases(rules.Handshake)), "harm": 17}
	if testing.Short() {
		only, want["harm"] = "--only=wire,handshake", 0
	}
	code, said := try(t, append(args, only)...)
	if _, err := os.Stat(file); err != nil {
		say("exit code %d, %s", code, said)
		return wrong
	}
	all := readAbuse(t, file)
	got := map[string]int{"harm": len(all.Harm)}
	for _, r := range all.Cases {
		got[r.Group]++
		if r.Verdict != rules.Kept || r.Came == "" || r.Ways == 0 {
			say("%+v", r)
		}
	}
	for _, r := range all.Harm {
		if r.Verdict != rules.Kept || r.Healthy.Pongs == 0 || r.Healthy.Max < r.Healthy.P99 {
			say("%+v", r)
		}
	}
	for group, n := range want {
		if got[group] != n {
			say("%d of %s, want %d", got[group], group, n)
		}
	}
	if code != 0 || !strings.HasSuffix(said, " ok, 0 advice, 0 FAIL\n") || strings.Contains(said, "RssAnon before") == testing.Short() {
		say("exit code %d, %s", code, said)
	}
	return wrong
}

func readAbuse(t *testing.T, file string) abuseReport {
	t.Helper()
	var all abuseReport
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// The output names the rules that a server breaks, and the exit status says so.
func TestAbuseOfAnotherServer(t *testing.T) {
	t.Parallel()
	url, _ := new(fakeServer).start(t)
	file := filepath.Join(t.TempDir(), "report.json")
	code, said := 0, ""
	for _, patience := range []string{"3s", "12s", "48s"} { // a busy machine may not let everybody in within that
		code, said = try(t, "abuse", "--url="+url, "--secret="+secret, "--only=wire", "--patience="+patience, "--json="+file)
		if strings.Contains(said, "rules were broken") {
			break
		}
	}
	all := readAbuse(t, file)
	broken, _ := all.Value("broken")
	if code != 1 || broken < 1 || !strings.Contains(said, "rules were broken") || len(all.Harm) != 0 {
		t.Errorf("exit code %d, %v broken, %s", code, broken, said)
	}
	// Its library takes lengths that are longer than they have to be.
	for _, want := range []string{"125 in 16 bits", "unmasked text"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is not told: %s", want, said)
		}
	}
	if strings.Contains(said, secret) || strings.Contains(strings.Join(all.Args, " "), secret) {
		t.Error("the secret is told")
	}
}

func TestAbuseRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args []string
		want string
	}{
		"another machine":     {[]string{"--url=ws://192.0.2.1:8081/ws"}, "not a loopback address"},
		"no secret":           {[]string{"--secret="}, "JWT_SECRET_KEY is empty"},
		"nothing to do":       {[]string{"--only=nothing"}, "wire"},
		"no patience":         {[]string{"--patience=0s"}, "--patience"},
		"too much harm":       {[]string{"--harm=2m"}, "1m0s at most"},
		"no server":           {[]string{"--url=ws://127.0.0.1:1/ws", "--only=wire"}, "connecting"},
		"a program of nobody": {[]string{"--program=/nowhere/roost"}, "/nowhere/roost: no such file"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			code, said := try(t, append([]string{"abuse", "--secret=s"}, tt.args...)...)
			if code != 1 || !strings.Contains(said, tt.want) || time.Since(began) > time.Minute {
				t.Errorf("exit code %d, %s", code, said)
			}
		})
	}
}

// Honest clients are served by Roost while others take all that is shared, however slowly on a busy machine.
func TestFairnessOfRoost(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("floods for half a minute")
	}
	roost := buildRoost(t)
	kept(t, func() []string { return unfairness(t, roost) })
}

// unfairness says whom Roost does not serve.
func unfairness(t *testing.T, roost string) (wrong []string) {
	t.Helper()
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	file := filepath.Join(t.TempDir(), "report.json")
	code, said := try(t, "abuse", "--program="+roost, "--label=roost", "--only=fairness", "--jwks", "--everyone", "--fair=1s", "--patience=1m",
		"--json="+file)
	if _, err := os.Stat(file); err != nil {
		say("exit code %d, %s", code, said)
		return wrong
	}
	all := readAbuse(t, file)
	names := fairness.Names()
	if len(all.Fairness) != len(names) {
		say("%d cases, want %d; exit code %d, %s", len(all.Fairness), len(names), code, said)
		return wrong
	}
	for i, r := range all.Fairness {
		if r.Name != names[i] || !r.Kept() || r.NewClients.Tried == 0 || r.Health.Tried == 0 || r.Metrics.Tried == 0 || r.Delivered.Tried == 0 {
			say("%+v", r)
		}
		if i > 0 && r.Did == "" {
			say("%s: nothing was done", r.Name)
		}
	}
	if code != 0 {
		say("exit code %d, %s", code, said)
	}
	return wrong
}

// A server that stops serving is found out.
func TestUnfairServerIsFoundOut(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]fairness.Result{
		"new clients":    {NewClients: fairness.Share{Tried: 100, Served: 98}},
		"health":         {Health: fairness.Share{Tried: 100, Served: 99}},
		"metrics":        {Metrics: fairness.Share{Tried: 100, Served: 99}},
		"delivered":      {Delivered: fairness.Share{Tried: 1000, Served: 999}},
		"lost":           {Lost: 1},
		"somebody wrong": {Wronged: "who reads has lost 1 of 2"},
	} {
		if r.Kept() {
			t.Errorf("%s: kept", name)
		}
	}
	if r := (fairness.Result{NewClients: fairness.Share{Tried: 100, Served: 99}}); !r.Kept() {
		t.Errorf("%+v", r)
	}
}

func TestAbusePage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, page := filepath.Join(dir, "a.json"), filepath.Join(dir, "page.md")
	served := fairness.Share{Tried: 10, Served: 10}
	all := abuseReport{
		Report: report.Report{Server: "a"},
		Cases:  []rules.Result{{Group: rules.Wire, Verdict: rules.Kept}, {Group: rules.Wire, Verdict: rules.Broken}},
		Fairness: []fairness.Result{
			{Name: fairness.Names()[0], NewClients: served, Memory: 7},
			{Name: fairness.Names()[1], NewClients: fairness.Share{Tried: 10, Served: 5}, Health: served},
		},
	}
	if err := report.WriteFile(file, all); err != nil {
		t.Fatal(err)
	}
	text := "head\n<!-- abuse:counts -->\n<!-- /abuse:counts -->\n<!-- abuse:fairness -->\nold\n<!-- /abuse:fairness -->\nend\n"
	if err := os.WriteFile(page, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, said := try(t, "abuse", "--from="+file, "--page="+page); code != 0 {
		t.Fatal(said)
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"head\n", "| Frames | 1 ok, 1 FAIL |", "| nobody does harm | all served, p99 0 ms; 7 MiB |", "| new clients 50%; 0 MiB |", "\nend\n"} {
		if !strings.Contains(string(got), want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	if code, _ := try(t, "abuse", "--from="+file); code == 0 {
		t.Error("--from goes without --page")
	}
}
