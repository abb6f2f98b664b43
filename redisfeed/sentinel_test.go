package redisfeed

import (
	"context"
	"crypto/tls"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"roost/redisfeed/internal/topology"
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
	var log redistest.Log
	cfg := watching(tr)
	cfg.Logger = log.Logger()
	feed := connected(t, cfg, &sink)
	redistest.WaitFor(t, "a ping", func() bool { return feed.Status().Ping > 0 })

	ctx, stop := context.WithCancel(t.Context())
	var received sync.Map // the numbers that Redis handed to somebody
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			if n, err := feed.Publish(ctx, "alice", strconv.Itoa(i)); err == nil && n > 0 {
				received.Store(i, true)
			}
			time.Sleep(time.Millisecond) // a pace, and no wait for anything
		}
	})
	redistest.WaitFor(t, "traffic", func() bool { return len(sink.all()) > 100 })
	tr.Master.Kill()
	redistest.WaitFor(t, "the loss to be noticed", func() bool { return !feed.Status().Connected && feed.Status().Err != "" })
	tr.AwaitMaster(tr.Replica)
	tr.KeepMaster()
	feed.waitConnected(t)
	before := len(sink.all())
	redistest.WaitFor(t, "traffic again", func() bool { return len(sink.all()) > before+100 })
	tr.Master.Restart()
	tr.AwaitReplica(tr.Master)
	before = len(sink.all())
	redistest.WaitFor(t, "more traffic", func() bool { return len(sink.all()) > before+100 })
	stop()
	wg.Wait()
	tr.Replica.Publish("user_noti:bob", "last")
	redistest.WaitFor(t, "the last one", func() bool { return sink.has(notification{"bob", "last"}) })

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
	received.Range(func(i, _ any) bool {
		if !got[i.(int)] {
			lost++
		}
		return true
	})
	t.Logf("%d notifications came, each once; %d that the old master took did not", len(numbers), lost)
	if s := feed.Status(); s.Gaps != 1 || s.Reconnects != 1 || s.Attempts != 0 || s.Err != "" {
		t.Errorf("status %+v, log:\n%s", s, log.String())
	}
	from, to := "addr="+tr.Master.Addr(), "addr="+tr.Replica.Addr()
	for _, line := range []string{from, "redis link lost", "subscribed again", to, "gaps=1"} {
		if !strings.Contains(log.String(), line) {
			t.Errorf("the log does not say %q:\n%s", line, log.String())
		}
	}
}

// A master that hangs keeps its connections: only the sentinels say that there is another. It takes a sentinel with it,
// as when both were on one host.
func TestHungMasterIsLeft(t *testing.T) {
	t.Parallel()
	tr := redistest.StartTrio(t, nil)
	var sink collector
	cfg := watching(tr)
	cfg.HeartbeatTimeout = time.Hour // so that it is not the silence that ends the link
	feed := connected(t, cfg, &sink)
	tr.Master.Pause()
	tr.Sentinels[0].Pause()
	redistest.WaitFor(t, "the new link", func() bool { s := feed.Status(); return s.Connected && s.Gaps == 1 })
	tr.KeepMaster()
	tr.Replica.Publish("user_noti:a", "x")
	redistest.WaitFor(t, "the notification", func() bool { return sink.has(notification{"a", "x"}) })
	tr.Master.Resume()
	tr.Sentinels[0].Resume()
	tr.AwaitReplica(tr.Master)
	tr.Replica.Publish("user_noti:a", "y")
	redistest.WaitFor(t, "the next notification", func() bool { return sink.has(notification{"a", "y"}) })
	if s := feed.Status(); s.Gaps != 1 || len(sink.all()) != 2 {
		t.Errorf("status %+v, got %q", s, sink.all())
	}
}

// The same where nobody is asked, because the time for that has not come: the sentinels tell it. Their user has the
// permissions that docs/redis.md gives, and no others.
func TestSentinelsTellOfASwitch(t *testing.T) {
	t.Parallel()
	tr := redistest.StartTrio(t, nil)
	permissions := append(redistest.Documented(t, "..", "Roost, on each sentinel"), redistest.Documented(t, "..", "… and hears of failovers at once")...)
	for _, s := range tr.Sentinels {
		redistest.Allow(t, s.Client(), "watcher", "pw", permissions)
	}
	cfg := watching(tr)
	cfg.SentinelUsername, cfg.SentinelPassword = "watcher", "pw"
	cfg.HeartbeatInterval, cfg.HeartbeatTimeout = time.Hour, 2*time.Hour
	var sink collector
	var log redistest.Log
	cfg.Logger = log.Logger()
	feed := connected(t, cfg, &sink)
	for _, s := range tr.Sentinels {
		redistest.WaitFor(t, "a sentinel to have a subscriber for longer than go-redis waits for an answer", func() bool {
			clients, err := s.Client().ClientList(t.Context()).Result()
			return err == nil && slices.ContainsFunc(strings.Split(clients, "\n"), func(client string) bool {
				_, age, _ := strings.Cut(client, " age=")
				seconds, _, _ := strings.Cut(age, " ")
				n, _ := strconv.Atoi(seconds)
				return strings.Contains(client, " user=watcher ") && strings.Contains(client, " sub=2 ") && n > 6
			})
		})
	}
	tr.Master.Pause()
	redistest.WaitFor(t, "the new link", func() bool { s := feed.Status(); return s.Connected && s.Gaps == 1 })
	tr.Replica.Publish("user_noti:a", "x")
	redistest.WaitFor(t, "the notification", func() bool { return sink.has(notification{"a", "x"}) })
	if strings.Contains(log.String(), "does not tell of failovers") {
		t.Errorf("a sentinel refuses:\n%s", log.String())
	}
}

// A failover that an operator asked for is a gap like any other.
func TestFailoverOnDemand(t *testing.T) {
	t.Parallel()
	ours := redistest.NewAuthority(t)
	tr := redistest.StartTrio(t, &redistest.TLS{Authority: ours, Shown: ours.Issue("127.0.0.1"), Clients: true})
	cfg := watching(tr)
	cfg.TLS = &tls.Config{RootCAs: ours.Roots(), Certificates: pair(t, ours.Issue("roost"))}
	for _, s := range []*redistest.Server{tr.Master, tr.Replica} {
		redistest.SetUser(t, s.Client(), "roost", "on", ">pw", "resetchannels", "&user_noti:*", "&user_noti_all", "&group_noti:*",
			"&user_ctl:*", "&roost:heartbeat:*", "-@all", "+psubscribe", "+subscribe", "+publish")
	}
	for _, s := range tr.Sentinels {
		redistest.SetUser(t, s.Client(), "watcher", "on", ">pw2", "-@all", "+sentinel|master", "+sentinel|get-master-addr-by-name")
	}
	cfg.Username, cfg.Password, cfg.SentinelUsername, cfg.SentinelPassword = "roost", "pw", "watcher", "pw2"
	var sink collector
	var log redistest.Log
	cfg.Logger = log.Logger()
	feed := connected(t, cfg, &sink)
	redistest.WaitFor(t, "the sentinels to refuse to tell of it", func() bool {
		return strings.Count(log.String(), "does not tell of failovers") == len(tr.Sentinels) &&
			strings.Contains(log.String(), topology.SwitchNeeds)
	})
	tr.Failover()
	redistest.WaitFor(t, "the feed and its publisher to be on the other", func() bool {
		return feed.Status().Connected && feed.publisher.Addr() == tr.Replica.Addr()
	})
	tr.AwaitReplica(tr.Master)
	redistest.WaitFor(t, "notifications", func() bool {
		_, _ = feed.Publish(t.Context(), "a", "x")
		return sink.has(notification{"a", "x"})
	})
	if s := feed.Status(); s.Gaps == 0 {
		t.Errorf("status %+v", s)
	}
}
