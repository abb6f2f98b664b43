package redisfeed

import (
	"sync/atomic"
	"testing"
	"time"

	"roost/redisfeed/redistest"
)

// Who connects while Redis has not been there yet is let in, and told what that may have cost once it is there.
func TestALateFirstLinkIsAGap(t *testing.T) {
	t.Parallel()
	for _, mode := range []Mode{Pattern, PerUser} {
		server := redistest.Start(t)
		server.Kill()
		cfg := quick(server.Addr())
		cfg.Mode = mode
		var told atomic.Pointer[time.Time]
		cfg.Gap = func(since time.Time) { told.Store(&since) }
		begun := time.Now()
		feed := run(t, cfg, &collector{})
		waitFor(t, "an attempt to fail", func() bool { return feed.Status().Attempts > 0 })
		join(t, feed.Feed, "alice")
		server.Restart()
		waitFor(t, "the gap to be told", func() bool { return told.Load() != nil })
		if told.Load().After(begun) {
			t.Errorf("mode %d: told of a gap since %s, and it began at %s", mode, told.Load(), begun)
		}
	}
	cfg := quick(redistest.Start(t).Addr())
	cfg.Gap = func(time.Time) { t.Error("told of a gap, though the first attempt worked") }
	connected(t, cfg, &collector{})
}
