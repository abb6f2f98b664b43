package redisfeed

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"roost/redisfeed/internal/subs"
	"roost/redisfeed/publish"
	"roost/redisfeed/redistest"
)

// In Pattern mode, too, nobody is let in before the pattern is subscribed, if that is within a second: nothing is lost,
// and no gap is told.
func TestPatternWaitsForTheFirstLink(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Pause() // it takes connections, and says nothing
	cfg := quick(server.Addr())
	var told atomic.Int64
	cfg.Gap = func(time.Time) { told.Add(1) }
	var sink collector
	begun := time.Now()
	// People are let in then, also if the link is there by the time at which somebody looks.
	tooLate := func() bool { return time.Since(begun) >= subs.WaitLimit }
	feed := run(t, cfg, &sink)
	w := make(awaited, 1)
	if feed.Acquire("alice", w) && !tooLate() {
		t.Fatal("let in before anything is subscribed")
	}
	if tooLate() {
		t.Skip("the machine stood still for a second")
	}
	server.Resume()
	select {
	case <-w:
	case <-time.After(redistest.Patience):
		t.Fatal("still waiting")
	}
	if tooLate() {
		t.Skip("the machine stood still for a second")
	}
	server.Publish("user_noti:alice", "caused by her own connection")
	redistest.WaitFor(t, "the notification", func() bool { return len(sink.all()) == 1 })
	if !feed.Acquire("bob", nil) {
		t.Error("has to wait with a link")
	}
	if n := told.Load(); n != 0 || feed.Status().Gaps != 0 {
		t.Errorf("told of %d gaps, status %+v", n, feed.Status())
	}
}

// The same when a link is lost and Redis is back at once: a client that comes in between gets everything.
func TestNobodyIsLetInWhileALinkIsMended(t *testing.T) {
	t.Parallel()
	for _, mode := range []Mode{Pattern, PerUser} {
		server := redistest.Start(t)
		var sink collector
		cfg := quick(server.Addr())
		cfg.Mode = mode
		feed := connected(t, cfg, &sink)
		for i := range 20 {
			asked := time.Now() // before the loss, from which on a second counts
			if err := server.Client().Do(t.Context(), "CLIENT", "KILL", "TYPE", "pubsub").Err(); err != nil {
				t.Fatal(err)
			}
			redistest.WaitFor(t, "the loss", func() bool { s := feed.Status(); return s.Reconnects > uint64(i) || !s.Connected })
			user := fmt.Sprint("user", i)
			join(t, feed.Feed, user)
			letIn := time.Since(asked)
			server.Publish(publish.ChannelPrefix+user, "x")
			if letIn < subs.WaitLimit { // else it may have been let in without a link, as TestLetInWithoutALinkIsAGap has it
				redistest.WaitFor(t, "the notification", func() bool { return sink.has(notification{user, "x"}) })
			}
			redistest.WaitFor(t, "the link", func() bool { s := feed.Status(); return s.Connected && s.Reconnects == uint64(i+1) })
		}
	}
}

// Redis is away for longer: people are let in, a gap is counted, also before the first link, and they are told.
func TestLetInWithoutALinkIsAGap(t *testing.T) {
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
		join(t, feed.Feed, "alice") // after a second
		if took := time.Since(begun); took < subs.WaitLimit {
			t.Errorf("mode %d: let in after %s", mode, took)
		}
		server.Restart()
		redistest.WaitFor(t, "the gap to be told", func() bool { return told.Load() != nil })
		if told.Load().After(begun) {
			t.Errorf("mode %d: told of a gap since %s, and it began at %s", mode, told.Load(), begun)
		}
		if s := feed.Status(); s.Gaps != 1 {
			t.Errorf("mode %d: %d gaps are counted, want 1", mode, s.Gaps)
		}
	}
	cfg := quick(redistest.Start(t).Addr())
	cfg.Gap = func(time.Time) { t.Error("told of a gap, though the first attempt worked") }
	connected(t, cfg, &collector{})
}
