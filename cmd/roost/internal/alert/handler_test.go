package alert

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/slogtest"
	"testing/synctest"

	"roost/cmd/roost/internal/logging"
)

func TestHandlerPostsCriticalRecords(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := new(discord)
		a, _ := start(d)
		var log logBuffer
		logger := slog.New(a.Handler(slog.NewTextHandler(&log, nil))).With("a", 1).WithGroup("g").With("b", "two words")
		logger.Error("not that bad")
		logger.Log(context.Background(), logging.LevelCritical, "redis is gone", "attempts", 10)
		closeAlerter(t, a)
		want := []string{`critical: "redis is gone" a=1 g.b="two words" g.attempts=10`}
		if got := contents(d.seen()); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		if got := log.String(); strings.Count(got, "\n") != 2 || !strings.Contains(got, "g.attempts=10") {
			t.Errorf("log: %s", got)
		}
	})
}

// A log that is set to be silent still alerts.
func TestHandlerPostsWhatTheLogLeavesOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := new(discord)
		a, _ := start(d)
		var log logBuffer
		logger := slog.New(a.Handler(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.Level(100)})))
		logger.Log(context.Background(), logging.LevelCritical, "gone")
		logger.Error("not that bad")
		closeAlerter(t, a)
		if len(d.seen()) != 1 || log.String() != "" {
			t.Errorf("%q; log %q", contents(d.seen()), log.String())
		}
	})
}

func TestHandlerConforms(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, _ := start(new(discord))
		var log logBuffer
		h := a.Handler(slog.NewTextHandler(&log, nil))
		err := slogtest.TestHandler(h, func() []map[string]any { return parse(log.String()) })
		if err != nil {
			t.Error(err)
		}
		closeAlerter(t, a)
	})
}

// parse reads slog's text format, with values that have no spaces.
func parse(text string) []map[string]any {
	var all []map[string]any
	for line := range strings.Lines(text) {
		m := map[string]any{}
		for _, f := range strings.Fields(line) {
			key, value, _ := strings.Cut(f, "=")
			groups := strings.Split(key, ".")
			into := m
			for _, g := range groups[:len(groups)-1] {
				if into[g] == nil {
					into[g] = map[string]any{}
				}
				into = into[g].(map[string]any)
			}
			into[groups[len(groups)-1]] = value
		}
		all = append(all, m)
	}
	return all
}
