package redisfeed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"roost/redisfeed/publish"
	"roost/redisfeed/redistest"
)

func TestKilledAndRestartedMidTraffic(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var sink collector
	var log redistest.Log
	cfg := quick(server.Addr())
	cfg.Logger = log.Logger()
	feed := connected(t, cfg, &sink)
	publisher, err := publish.New(quick(server.Addr()).Config)
	if err != nil {
		t.Fatal(err)
	}
	defer publisher.Close()

	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			_, _ = publisher.Publish(ctx, "alice", strconv.Itoa(i)) // fails while Redis is away
			time.Sleep(time.Millisecond)                            // a pace, and no wait for anything
		}
	})
	redistest.WaitFor(t, "traffic", func() bool { return len(sink.all()) > 100 })
	server.Kill()
	redistest.WaitFor(t, "the loss to be noticed", func() bool { return !feed.Status().Connected })
	redistest.WaitFor(t, "the reason", func() bool { return strings.Contains(feed.Status().Err, "refused") })
	server.Restart()
	feed.waitConnected(t)
	before := len(sink.all())
	redistest.WaitFor(t, "traffic again", func() bool { return len(sink.all()) > before+100 })
	stop()
	wg.Wait()

	var numbers []int
	for _, n := range sink.all() {
		i, err := strconv.Atoi(n.payload)
		if err != nil || n.user != "alice" {
			t.Fatalf("got %q for %q", n.payload, n.user)
		}
		numbers = append(numbers, i)
	}
	if !slices.IsSorted(numbers) || len(slices.Compact(slices.Clone(numbers))) != len(numbers) {
		t.Error("out of order, or twice")
	}
	if s := feed.Status(); s.Gaps != 1 || s.Reconnects != 1 || s.Attempts != 0 || s.Err != "" {
		t.Errorf("status %+v, log:\n%s", s, log.String())
	}
	for _, line := range []string{"redis link lost", "attempt=1 out_for=", "of=unlimited", "subscribed again", "gone=", "gaps=1"} {
		if !strings.Contains(log.String(), line) {
			t.Errorf("the log does not say %q:\n%s", line, log.String())
		}
	}
}

func TestGoneForGood(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var log redistest.Log
	cfg := quick(server.Addr())
	cfg.MaxAttempts, cfg.RetryDelay = 3, 200*time.Millisecond
	cfg.Logger = log.Logger()
	feed := connected(t, cfg, &collector{})
	killed := time.Now()
	server.Kill()
	err := feed.wait(t)
	if took := time.Since(killed); took < 590*time.Millisecond {
		t.Errorf("gave up after %s, want 3 times 200ms", took)
	}
	if !errors.Is(err, ErrGaveUp) || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("Run: %v, want ErrGaveUp and the cause", err)
	}
	s := feed.Status()
	// How many attempts fit into the 600 ms is the machine's.
	if s.Connected || s.Attempts == 0 || !strings.Contains(s.Err, "refused") {
		t.Errorf("status %+v", s)
	}
	if n := strings.Count(log.String(), "redis cannot be reached"); n != s.Attempts {
		t.Errorf("%d lines for %d attempts:\n%s", n, s.Attempts, log.String())
	}
	last := fmt.Sprintf("attempt=%d out_for=", s.Attempts)
	if !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), "of=600ms") || !strings.Contains(log.String(), last) {
		t.Errorf("the last attempt is not said, %s:\n%s", last, log.String())
	}
}

func TestAbsentAtTheStart(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Kill()
	var sink collector
	feed := run(t, quick(server.Addr()), &sink)
	redistest.WaitFor(t, "some attempts", func() bool { return feed.Status().Attempts > 2 })
	server.Restart()
	feed.waitConnected(t)
	server.Publish("user_noti:a", "x")
	redistest.WaitFor(t, "the notification", func() bool { return sink.has(notification{"a", "x"}) })
	if s := feed.Status(); s.Gaps != 0 || s.Reconnects != 0 {
		t.Errorf("the first subscription is no gap: %+v", s)
	}
}

func TestHangIsNoticedAndMended(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var sink collector
	var log redistest.Log
	cfg := noticing(quick(server.Addr()))
	cfg.Logger = log.Logger()
	feed := connected(t, cfg, &sink)
	redistest.WaitFor(t, "a heartbeat", func() bool { return feed.Status().Ping > 0 })
	server.Pause()
	redistest.WaitFor(t, "the hang to be noticed", func() bool { return !feed.Status().Connected })
	// The status may say by now why the next attempt has failed.
	redistest.WaitFor(t, "the reason in the log", func() bool { return strings.Contains(log.String(), "nothing came from redis for "+silence.String()) })
	// The kernel still accepts for a stopped process, so attempts hang too, and have to end.
	redistest.WaitFor(t, "an attempt to fail", func() bool { return feed.Status().Attempts > 0 })
	server.Resume()
	feed.waitConnected(t)
	redistest.WaitFor(t, "a notification", func() bool {
		server.Publish("user_noti:a", "x")
		return sink.has(notification{"a", "x"})
	})
	redistest.WaitFor(t, "one gap for each link that was lost, and none for the attempts", func() bool {
		return int(feed.Status().Gaps) == strings.Count(log.String(), "redis link lost")
	})
	redistest.WaitFor(t, "the log to say why", func() bool { return strings.Contains(log.String(), "heartbeat cannot be published") })
}

func TestCutByRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	feed := connected(t, quick(server.Addr()), &collector{})
	for n := uint64(1); n <= 3; n++ {
		if err := server.Client().Do(t.Context(), "CLIENT", "KILL", "TYPE", "pubsub").Err(); err != nil {
			t.Fatal(err)
		}
		redistest.WaitFor(t, "a new link", func() bool { s := feed.Status(); return s.Connected && s.Gaps == n })
	}
	if s := feed.Status(); s.Reconnects != 3 {
		t.Errorf("status %+v", s)
	}
}

func TestSilenceBetweenNotificationsIsNoLoss(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	cfg := noticing(quick(server.Addr()))
	feed := connected(t, cfg, &collector{})
	notLost(t, feed.Feed, 2*cfg.HeartbeatTimeout, func() {})
}

func TestTrafficProvesTheLinkWithoutHeartbeats(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	cfg := quick(server.Addr())
	cfg.HeartbeatInterval, cfg.HeartbeatTimeout = time.Hour-1, time.Hour
	f, err := New(cfg, &collector{})
	if err != nil {
		t.Fatal(err)
	}
	f.cfg.HeartbeatTimeout = silence // for the link; the heartbeat stays an hour away
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- f.Run(ctx) }()
	notLost(t, f, silence*3/2, func() { server.Publish("user_noti:a", "x") })
	before := f.Status().Gaps
	redistest.WaitFor(t, "silence to be noticed", func() bool { s := f.Status(); return !s.Connected || s.Gaps > before })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
