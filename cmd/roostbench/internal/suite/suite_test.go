package suite

import (
	"slices"
	"testing"
)

func names(steps []Step) []string {
	var all []string
	for _, s := range steps {
		all = append(all, s.Name)
	}
	return all
}

func TestPlan(t *testing.T) {
	t.Parallel()
	steps := []Step{{Name: "a", Args: []string{"long"}, Short: true, ShortArgs: []string{"short"}}, {Name: "b"}}
	if got := names(Plan(steps, nil, false)); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("all: %v", got)
	}
	short := Plan(steps, nil, true)
	if len(short) != 1 || short[0].Args[0] != "short" {
		t.Errorf("short: %+v", short)
	}
	if got := Plan(steps, []string{"b"}, true); len(got) != 1 || got[0].Name != "b" {
		t.Errorf("b only: %+v", got)
	}
}

func TestServersTakeTurns(t *testing.T) {
	t.Parallel()
	cfg := Config{Rounds: 2, Servers: []Server{{Label: "A"}, {Label: "B"}}, Steps: []Step{{Name: "x"}, {Name: "once", Rounds: 1}}}
	var got []string
	for _, r := range runs(cfg) {
		got = append(got, r.name())
	}
	want := []string{"x.A.1", "x.B.1", "once.A.1", "once.B.1", "x.A.2", "x.B.2"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestStepNamesAreTheirOwnFiles(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, s := range Steps() {
		name := run{step: s}.name()
		if seen[name] {
			t.Errorf("%s: another step has the same file", s.Name)
		}
		seen[name] = true
	}
}
