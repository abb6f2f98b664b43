package suite

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestChoose(t *testing.T) {
	t.Parallel()
	steps := []Step{{ID: "a"}, {ID: "b", Title: "the second"}, {ID: "c"}}
	got, err := Choose(steps, []string{"c", "a"})
	if err != nil || len(got) != 2 || got[0].ID != "a" || got[1].ID != "c" {
		t.Errorf("a and c: %+v, %v", got, err)
	}
	if got, err := Choose(steps, nil); err != nil || len(got) != 3 {
		t.Errorf("all: %+v, %v", got, err)
	}
	if _, err := Choose(steps, []string{"d"}); !errors.Is(err, ErrUnknownStep) || !strings.Contains(err.Error(), "the second") {
		t.Errorf("an unknown one: %v", err)
	}
}

func TestServersTakeTurns(t *testing.T) {
	t.Parallel()
	cfg := Config{
		Servers: []Server{{Label: "a"}, {Label: "b 1", Only: []string{"x-*", "once"}}},
		Steps: []Step{
			{ID: "x-1", Rounds: 2, Lasts: time.Second}, {ID: "y", Rounds: 1, Lasts: time.Minute}, {ID: "once", Rounds: 1, Lasts: time.Hour},
		},
	}
	var got []string
	for _, r := range runs(cfg) {
		got = append(got, r.name())
	}
	want := []string{"x-1.a.1", "x-1.b-1.1", "y.a.1", "once.a.1", "once.b-1.1", "x-1.a.2", "x-1.b-1.2"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := Estimate(cfg), 2*time.Hour+time.Minute+4*time.Second; got != want {
		t.Errorf("estimated %s, want %s", got, want)
	}
	cfg.Rounds = 1
	if got := len(runs(cfg)); got != 5 {
		t.Errorf("%d measurements in one round", got)
	}
}

func TestStepsAreComplete(t *testing.T) {
	t.Parallel()
	for _, mode := range []Mode{Normal, Short, Full, TLS, Resume, Upgrade} {
		seen := map[string]bool{}
		for _, s := range Steps(mode) {
			if seen[s.ID] || strings.ContainsAny(s.ID, "/. ") {
				t.Errorf("%q has its files in common with another, or can't be a file", s.ID)
			}
			seen[s.ID] = true
			if s.Title == "" || s.Rounds < 1 || s.Rounds > MaxRounds || s.Lasts <= 0 || len(s.Args) == 0 {
				t.Errorf("%+v", s)
			}
		}
	}
}

func TestEstimateFollowsTheFlags(t *testing.T) {
	t.Parallel()
	one := looks{sizes: []int{2000, 6000}, hold: 10 * time.Second}
	two := one
	two.sizes, two.hold, two.holdOthers, two.empty = []int{0, 2000, 3000, 6000}, 11*time.Second, time.Second, 7*time.Second
	two.burst, two.cooldown = 10, 5*time.Second
	// Both holds, the others, nobody, the burst, and its cooldown.
	want := 2*time.Second + time.Second + 7*time.Second + 3*time.Second + 5*time.Second
	if got := idle("b", "", two).Lasts - idle("a", "", one).Lasts; got != want {
		t.Errorf("the longer one lasts %s longer, want %s", got, want)
	}
}
