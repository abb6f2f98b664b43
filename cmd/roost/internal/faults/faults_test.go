package faults

import (
	"context"
	"os"
	"testing"

	"github.com/redis/go-redis/v9"
)

func TestMain(m *testing.M) {
	redis.SetLogger(silence{}) // a Redis that is not there is no news here
	os.Exit(m.Run())
}

// silence is a log of go-redis that says nothing.
type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

// feeds are the values of REDIS_FEED.
var feeds = []string{"pattern", "user", "sharded"}

// TestFaults makes each fault happen with each feed, and judges each round.
func TestFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute and more")
	}
	full := os.Getenv("ROOST_FAULTS") == "full"
	results := make([][]result, len(feeds))
	t.Run("feeds", func(t *testing.T) { // which ends when all of them have
		for i, feed := range feeds {
			t.Run(feed, func(t *testing.T) {
				t.Parallel()
				results[i] = runFeed(t, feed, full)
			})
		}
	})
	report(t, results)
}

// runFeed runs all rounds with one feed, on one server.
func runFeed(t *testing.T, feed string, full bool) (all []result) {
	s := begin(t, feed, full)
	for _, f := range scenarios() {
		rounds := f.rounds(feed, full)
		if rounds == 0 {
			continue
		}
		r := result{scenario: f.name, feed: feed}
		for range rounds {
			r.add(s.round(t, f))
			if t.Failed() {
				return append(all, r)
			}
		}
		all = append(all, r)
	}
	return all
}
