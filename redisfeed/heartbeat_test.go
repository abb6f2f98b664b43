package redisfeed

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"roost/redisfeed/internal/boottime"
	"roost/redisfeed/redistest"
)

func TestHeartbeatStamps(t *testing.T) {
	t.Parallel()
	now := boottime.Now()
	for _, sent := range []boottime.Instant{1, now.Add(-time.Second), now} {
		if got, ok := readStamp(stamp(sent), now); !ok || got != sent {
			t.Errorf("sent at %d, got %d, %t", sent, got, ok)
		}
	}
	for _, odd := range []string{"", "x", "0", "-1", "1.5", "99999999999999999999", stamp(now + 1)} {
		if sent, ok := readStamp(odd, now); ok {
			t.Errorf("stamp %q was taken for one sent at %d", odd, sent)
		}
	}
}

func TestHeartbeatChannelsDiffer(t *testing.T) {
	t.Parallel()
	if a, b := newHeartbeat(1), newHeartbeat(1); a.channel == b.channel {
		t.Errorf("two instances share %s", a.channel)
	}
}

func TestHeartbeatBeatsEveryIntervalAndWhenAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHeartbeat(2 * time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		var beats atomic.Int64
		done := make(chan struct{})
		go func() {
			defer close(done)
			h.run(ctx, func(context.Context) { beats.Add(1) })
		}()
		h.soon()
		h.soon() // does not block
		synctest.Wait()
		asked := beats.Load()
		if asked < 1 {
			t.Fatal("no beat when asked")
		}
		time.Sleep(time.Minute + time.Millisecond)
		synctest.Wait()
		if got := beats.Load() - asked; got != 30 {
			t.Errorf("%d beats in a minute, want 30", got)
		}
		cancel()
		<-done
	})
}

func TestNoHeartbeatsWithoutALink(t *testing.T) {
	t.Parallel()
	f, err := New(quick("127.0.0.1:1"), &collector{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.sendBeat(t.Context())
	if s := f.pool.Stats(); s.Misses != 0 {
		t.Errorf("a heartbeat was tried: %+v", s)
	}
}

// The proven time moves on with the heartbeats. Without a link nothing is on its way.
func TestProven(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	feed := connected(t, quick(server.Addr()), &collector{})
	for range 2 {
		began := time.Now()
		redistest.WaitFor(t, "a heartbeat that was sent since", func() bool { return feed.Proven().After(began) })
		if at := feed.Proven(); at.After(time.Now()) {
			t.Errorf("proven up to %s", at)
		}
	}
	server.Kill()
	redistest.WaitFor(t, "the feed to notice", func() bool { return !feed.Status().Connected })
	if began := time.Now(); feed.Proven().Before(began.Add(-time.Second)) {
		t.Error("without a link something is on its way")
	}
}

// A link whose heartbeats don't come back is not waited for without an end: what else it brings may keep it alive.
func TestProvenWithoutHeartbeats(t *testing.T) {
	t.Parallel()
	f := &Feed{monitor: newMonitor(time.Now()), cfg: Config{HeartbeatInterval: time.Minute, HeartbeatTimeout: 10 * time.Minute}}
	for silent, late := range map[time.Duration]bool{5 * time.Minute: true, 12 * time.Minute: false} {
		f.monitor.proven.Store(int64(boottime.Now().Add(-silent)))
		if got := time.Since(f.Proven()); got > 4*time.Minute != late {
			t.Errorf("after %s without a heartbeat it is late by %s", silent, got)
		}
	}
}
