package main

import (
	"time"

	"roost/bench/roostbench/internal/gctrace"
	"roost/bench/roostbench/internal/scrape"
)

// scrape asks the server for figures of its own. Nothing is known of a server
// that doesn't say any.
func (m *measurement) scrape() scrape.Values {
	if m.flags.Metrics == "" {
		return nil
	}
	values, err := scrape.Get(m.env.ctx, m.flags.Metrics)
	if err != nil {
		return nil
	}
	return values
}

// followCollections begins to watch the server's log, where it is known. The
// function that it returns says what has been collected since.
func (m *measurement) followCollections() func() (gctrace.Sum, error) {
	if m.flags.ServerLog == "" {
		return func() (gctrace.Sum, error) { return gctrace.Sum{}, nil }
	}
	log, err := gctrace.Follow(m.flags.ServerLog)
	return func() (gctrace.Sum, error) {
		if err != nil {
			return gctrace.Sum{}, err
		}
		cycles, err := log.Since()
		return gctrace.Add(cycles), err
	}
}

// addCollections adds what collections cost in a time.
func (m *measurement) addCollections(s gctrace.Sum, elapsed time.Duration) {
	if m.flags.ServerLog == "" {
		return
	}
	r := &m.report
	r.Add("collections", float64(s.Cycles), "")
	r.Add("longest pause", s.Longest.Seconds()*1e3, "ms")
	r.Add("pauses' share of the time", 100*s.Paused.Seconds()/elapsed.Seconds(), "%")
	r.Add("collecting", 100*s.CPU.Seconds()/elapsed.Seconds(), "% of a core")
}
