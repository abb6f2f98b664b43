package soak

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// plan says how long and how large a soak is.
type plan struct {
	length   time.Duration
	users    int           // healthy ones; the nth has 1 + n%3 connections
	batch    int           // notifications for them every tick
	resumers int           // clients that are cut off, and come back
	each     int           // of each kind of troublemaker
	every    time.Duration // from one trouble with Redis to the next
}

const (
	tick     = 10 * time.Millisecond // of the publisher
	shortest = 20 * time.Second      // in which every kind of trouble has its turn
	longest  = time.Hour
)

// short is what `go test` runs, also with the race detector on a machine that does other things.
var short = plan{length: 12 * time.Second, users: 12, resumers: 3, batch: 2, each: 1, every: 2 * time.Second}

// planFor reads ROOST_SOAK, which is empty or a duration.
func planFor(text string) (plan, error) {
	if text == "" {
		return short, nil
	}
	length, err := time.ParseDuration(text)
	if err != nil || length < shortest || length > longest {
		return plan{}, fmt.Errorf("ROOST_SOAK is %q, want a duration from %s to %s, such as 5m", text, shortest, longest)
	}
	return plan{length: length, users: 100, resumers: 20, batch: 10, each: 3, every: min(8*time.Second, length/6)}, nil
}

func planned(t *testing.T) plan {
	t.Helper()
	p, err := planFor(os.Getenv("ROOST_SOAK"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPlan(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"": short.length, "20s": 20 * time.Second, "5m": 5 * time.Minute, "1h": time.Hour,
		"19s": 0, "61m": 0, "5": 0, "long": 0,
	} {
		p, err := planFor(text)
		if (err != nil) != (want == 0) || p.length != want {
			t.Errorf("ROOST_SOAK=%q: %s, %v, want %s", text, p.length, err, want)
		}
	}
}
