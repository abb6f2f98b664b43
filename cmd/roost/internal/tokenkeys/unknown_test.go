package tokenkeys

import (
	"fmt"
	"testing"
	"time"
)

// A key is refused only after a fetch that began later than it was asked for, and that was successful.
func TestUnknownsSteps(t *testing.T) {
	t.Parallel()
	const minute = time.Minute
	u := newUnknowns(minute)
	start := time.Now()
	at := func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
	ask := func(s float64, name string, want time.Duration) {
		t.Helper()
		wait, pending, _ := u.ask(name, at(s))
		if pending != (want > 0) || wait != want {
			t.Errorf("at %v s %s is pending %t for %s, want %s", s, name, pending, wait, want)
		}
	}
	due := func(s float64) {
		t.Helper()
		want := at(s)
		if s < 0 {
			want = time.Time{}
		}
		if !u.due().Equal(want) {
			t.Errorf("due at %s, want %v s", u.due().Sub(start), s)
		}
	}
	const refused = 0

	due(-1)
	ask(0, "bogus", soon)
	due(0)
	u.begin(at(0.1))
	due(-1)
	ask(0.2, "bogus", soon)                 // it is being looked for
	ask(0.2, "new", 59900*time.Millisecond) // the fetch began before it was asked for
	due(60.1)
	u.end(true)
	ask(1, "bogus", refused)
	ask(30.1, "new", 30*time.Second)
	ask(59.6, "newer", soon)
	due(60.1)
	// One that is due anyway looks for them as well, and does not count.
	u.begin(at(59.7))
	u.end(false)
	ask(59.8, "bogus", refused)
	ask(59.8, "new", soon) // that fetch failed
	u.begin(at(60.1))
	u.end(true)
	ask(60.2, "new", refused)
	ask(60.2, "newer", refused)
	ask(60.2, "bogus", refused)
	due(-1)
	// After a minute each is looked for again, by whoever asks first.
	ask(121, "bogus", soon)
	due(121)
	ask(121.1, "new", soon)
	u.begin(at(121.2))
	ask(121.3, "bogus", soon)
	u.end(true)
	ask(122, "bogus", refused)
	ask(122, "new", refused)
}

// Names that strangers make up take bounded memory, and nobody is refused for those that are not remembered.
func TestUnknownsAreBounded(t *testing.T) {
	t.Parallel()
	u := newUnknowns(time.Minute)
	now := time.Now()
	for round := range 5 {
		for n := range 3 * maxUnknown {
			if _, pending, _ := u.ask(fmt.Sprint(round, n), now); !pending {
				t.Fatal("refused before it was looked for")
			}
		}
		if len(u.asked) > maxUnknown || len(u.absent) > maxUnknown {
			t.Fatalf("%d and %d are remembered", len(u.asked), len(u.absent))
		}
		u.begin(now)
		u.end(round%2 == 0)
	}
}
