package faults

import (
	"testing"
	"time"

	"roost/cmd/roost/internal/roosttest"
)

// TestJudge has the judge find what was not told, and nothing else.
func TestJudge(t *testing.T) {
	t.Parallel()
	start := time.Now()
	at := func(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }
	published := func(seconds float64) publication {
		return publication{begun: at(seconds), done: at(seconds + 0.1), took: true}
	}
	list := []publication{published(1), published(2), published(3), published(4), {begun: at(5), done: at(5.1)}}
	const first = 10
	got := func(numbers ...int) map[int]bool {
		m := make(map[int]bool)
		for _, n := range numbers {
			m[n] = true
		}
		return m
	}
	gap := func(since, when float64) []told {
		return []told{{Gap: roosttest.Gap{Since: at(since), Told: at(when)}}}
	}
	for _, tt := range []struct {
		name string
		got  map[int]bool
		gaps []told
		want tally
	}{
		{"all", got(10, 11, 12, 13), nil, tally{due: 4, delivered: 4}},
		{"also what Redis did not say it took", got(10, 11, 12, 13, 14), nil, tally{due: 5, delivered: 5}},
		{"one is lost, untold", got(10, 12, 13), nil, tally{due: 4, delivered: 3, untold: 1, lastLost: at(2)}},
		{"one is lost, told", got(10, 12, 13), gap(1.5, 6), tally{due: 4, delivered: 3, told: 1, lastLost: at(2)}},
		{"told at the last moment of it", got(10, 12, 13), gap(2.1, 6), tally{due: 4, delivered: 3, told: 1, lastLost: at(2)}},
		{"told too late a time", got(10, 12, 13), gap(2.2, 6), tally{due: 4, delivered: 3, untold: 1, lastLost: at(2)}},
		{"told before", got(10, 12, 13), gap(1, 1.9), tally{due: 4, delivered: 3, untold: 1, lastLost: at(2)}},
		{"told twice", got(10), append(gap(3, 6), gap(1, 6)...), tally{due: 4, delivered: 1, told: 3, lastLost: at(4)}},
	} {
		if got := judge(list, first, tt.got, tt.gaps); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// TestClientNotices has a client notice what must not come.
func TestClientNotices(t *testing.T) {
	t.Parallel()
	now := time.Now()
	c := &client{got: make(map[int]time.Time), last: -1}
	for _, message := range []string{
		`{"type":"n","payload":1}`, `{"type":"n","payload":4}`,
		`{"type":"_gap","payload":{"reason":"redis","since":"2026-01-02T03:04:05.678Z"}}`,
	} {
		c.take([]byte(message), now)
	}
	got, gaps, faults := c.seen()
	if len(got) != 2 || len(gaps) != 1 || gaps[0].reason != "redis" || gaps[0].Since.Year() != 2026 || len(faults) != 0 {
		t.Errorf("got %v, gaps %v, faults %q", got, gaps, faults)
	}
	for _, message := range []string{`{"type":"n","payload":4}`, `{"type":"n","payload":3}`, `{"type":"n`} {
		c.take([]byte(message), now)
	}
	if _, _, faults := c.seen(); len(faults) != 3 {
		t.Errorf("three things were wrong, noticed: %q", faults)
	}
}
