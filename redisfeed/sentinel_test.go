package redisfeed

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"roost/redisfeed/redistest"
)

// watching is a quick Config for the master that the trio's sentinels know.
func watching(tr *redistest.Trio) Config {
	cfg := quick("")
	cfg.Sentinels, cfg.MasterName = tr.Addrs(), redistest.MasterName
	return cfg
}

// The master dies in the middle of traffic: the feed follows, and what was lost in between is one gap.
func TestFailoverMidTraffic(t *testing.T) {
	t.Parallel()
	tr := redistest.StartTrio(t, nil)
	var sink collector
	var log logLines
	cfg := watching(tr)
	cfg.Logger = log.logger()
	feed := connected(t, cfg, &sink)
	waitFor(t, "a ping", func() bool { return feed.Status().Ping > 0 })

	ctx, stop := context.WithCancel(t.Context())
	var heard sync.Map // the numbers that Redis handed to somebody
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			if n, err := feed.Publish(ctx, "alice", strconv.Itoa(i)); err == nil && n > 0 {
				heard.Store(i, true)
			}
		}
	})
	waitFor(t, "traffic", func() bool { return len(sink.all()) > 100 })
	tr.Master.Kill()
	waitFor(t, "the loss to be noticed", func() bool { return !feed.Status().Connected && feed.Status().Err != "" })
	tr.AwaitMaster(tr.Replica)
	feed.waitConnected(t)
	before := len(sink.all())
	waitFor(t, "traffic again", func() bool { return len(sink.all()) > before+100 })
	tr.Master.Restart()
	tr.AwaitReplica(tr.Master)
	before = len(sink.all())
	waitFor(t, "more traffic", func() bool { return len(sink.all()) > before+100 })
	stop()
	wg.Wait()
	tr.Replica.Publish("user_noti:bob", "last")
	waitFor(t, "the last one", func() bool { return sink.has(notification{"bob", "last"}) })

	got := map[int]bool{}
	var numbers []int
	for _, n := range sink.all() {
		if n.user == "bob" {
			continue
		}
		i, err := strconv.Atoi(n.payload)
		if err != nil || n.user != "alice" {
			t.Fatalf("got %q for %q", n.payload, n.user)
		}
		numbers, got[i] = append(numbers, i), true
	}
	if !slices.IsSorted(numbers) || len(got) != len(numbers) {
		t.Error("out of order, or twice")
	}
	lost := 0
	heard.Range(func(i, _ any) bool {
		if !got[i.(int)] {
			lost++
		}
		return true
	})
	t.Logf("%d notifications came, each once; %d that the old master took did not", len(numbers), lost)
	if s := feed.Status(); s.Gaps != 1 || s.Reconnects != 1 || s.Attempts != 0 || s.Err != "" {
		t.Errorf("status %+v, log:\n%s", s, log.String())
	}
	for _, line := range []string{"addr=" + tr.Master.Addr(), "redis link lost", "subscribed again", "addr=" + tr.Replica.Addr(), "gaps=1"} {
		if !strings.Contains(log.String(), line) {
			t.Errorf("the log does not say %q:\n%s", line, log.String())
		}
	}
}
