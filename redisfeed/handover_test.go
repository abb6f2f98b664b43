package redisfeed

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"roost/redisfeed/redistest"
)

// pieces is what a feed exported: its descriptors are others of the same sockets, as another process would get them.
type pieces []piece

type piece struct {
	section     []byte
	descriptors []int
}

func (p *pieces) take(section []byte, descriptors []int) error {
	one := piece{section: slices.Clone(section)}
	for _, fd := range descriptors {
		other, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return err
		}
		one.descriptors = append(one.descriptors, other)
	}
	*p = append(*p, one)
	return nil
}

// frozen freezes a feed and returns what it exports.
func frozen(t *testing.T, feed *Feed) (all pieces) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), redistest.Patience)
	defer cancel()
	if err := feed.Freeze(ctx); err != nil {
		t.Fatal(err)
	}
	if err := feed.Export(all.take); err != nil {
		t.Fatal(err)
	}
	return all
}

// imports makes a feed of what another has exported.
func imports(t *testing.T, cfg Config, sink Sink, all pieces) *Feed {
	t.Helper()
	f, err := New(cfg, sink)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if err := f.Import(p.section, p.descriptors); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.FinishImport(); err != nil {
		t.Fatal(err)
	}
	return f
}

// discards takes what a feed has exported, and gives it up.
func discards(t *testing.T, cfg Config, all pieces) {
	t.Helper()
	f := imports(t, cfg, &collector{}, all)
	f.DiscardImport()
	_ = f.Close()
}

// handedOver hands a running feed over to another, for users who have a connection each.
func handedOver(t *testing.T, old *running, cfg Config, sink Sink, users []string) *running {
	t.Helper()
	next := imports(t, cfg, sink, frozen(t, old.Feed))
	for _, user := range users {
		next.Acquire(user, make(awaited, 1))
	}
	old.Commit()
	r := runs(t, next)
	if err := old.wait(t); err != nil {
		t.Errorf("the old one ends with %v", err)
	}
	return r
}

// handoverCases are the ways to subscribe, each with traffic.
var handoverCases = map[string]func(t *testing.T) (Config, func(context.Context, string, string) error){
	"pattern": func(t *testing.T) (Config, func(context.Context, string, string) error) {
		server := redistest.Start(t)
		return quick(server.Addr()), publishTo(t, server)
	},
	"user": func(t *testing.T) (Config, func(context.Context, string, string) error) {
		server := redistest.Start(t)
		cfg := quick(server.Addr())
		cfg.Mode = PerUser
		return cfg, publishTo(t, server)
	},
	"sentinel": func(t *testing.T) (Config, func(context.Context, string, string) error) {
		trio := redistest.StartTrio(t, nil)
		trio.KeepMaster()
		return watching(trio), publishTo(t, trio.Master)
	},
	"sharded": func(t *testing.T) (Config, func(context.Context, string, string) error) {
		c := redistest.StartCluster(t, redistest.ClusterOptions{})
		c.KeepRoles()
		return sharded(c), spublish(t, c)
	},
}

// Feeds are handed over, and taken back, again and again in the middle of the traffic: everything comes once, in order, and no
// gap is told.
func TestHandover(t *testing.T) {
	t.Parallel()
	for name, begin := range handoverCases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, publish := begin(t)
			cfg.HeartbeatTimeout = time.Minute // no link is to be lost because the machine is slow
			feed, tr := follows(t, cfg, cfg.Mode, publish)
			tr.watch(&cfg)
			connected := feed.Status().Since
			for range 6 {
				discards(t, cfg, frozen(t, feed.Feed))
				feed.Unfreeze()
				tr.waitForMore(t, 100)
				feed = handedOver(t, feed, cfg, tr, tr.users)
				tr.waitForMore(t, 100)
			}
			r := tr.end(t)
			t.Logf("%+v", r)
			if r.never > 0 || r.twice > 0 || r.reordered > 0 || len(tr.gaps) > 0 {
				t.Errorf("%+v, told gaps %v", r, tr.gaps)
			}
			s := feed.Status()
			if drift := s.Since.Sub(connected).Abs(); !s.Connected || s.Gaps != 0 || s.Reconnects != 0 || drift > time.Minute {
				t.Errorf("status %+v, connected since %s before", s, connected)
			}
			if cfg.Mode != Pattern && s.Users != (Users{Subscribed: len(tr.users)}) {
				t.Errorf("users %+v", s.Users)
			}
		})
	}
}

// The connection to Redis is the same one afterwards, and there is no other.
func TestHandoverKeepsTheConnection(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	subscribers := func() (ids []string) {
		text, err := server.Client().Do(t.Context(), "CLIENT", "LIST", "TYPE", "pubsub").Text()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(text) {
			id, _, _ := strings.Cut(line, " ")
			ids = append(ids, id)
		}
		return ids
	}
	var sink collector
	cfg := quick(server.Addr())
	feed := connected(t, cfg, &sink)
	before := subscribers()
	feed = handedOver(t, feed, cfg, &sink, nil)
	redistest.WaitFor(t, "a heartbeat on the link", func() bool { return feed.Status().Ping > 0 })
	if after := subscribers(); len(before) != 1 || !slices.Equal(before, after) {
		t.Errorf("subscribers %v, then %v", before, after)
	}
}

// Messages that Redis sends while a feed is frozen wait for the feed that goes on, be it the same or another.
func TestFrozenFeedTakesNothing(t *testing.T) {
	t.Parallel()
	for _, commits := range []bool{false, true} {
		server := redistest.Start(t)
		var first, second collector
		cfg := quick(server.Addr())
		feed := connected(t, cfg, &first)
		all := frozen(t, feed.Feed)
		server.Publish("user_noti:a", "1")
		server.Publish("user_noti:a", strings.Repeat("x", 3*readBuffer))
		taker := &first
		if commits {
			next := imports(t, cfg, &second, all)
			feed.Commit()
			runs(t, next)
			taker = &second
		} else {
			discards(t, cfg, all)
			feed.Unfreeze()
		}
		redistest.WaitFor(t, "both", func() bool { return len(taker.all()) == 2 })
		if got := len(first.all()) + len(second.all()); got != 2 || taker.all()[0].payload != "1" {
			t.Errorf("commits %v: %d came", commits, got)
		}
	}
}

// A message of which a part has come goes over in two pieces.
func TestHandoverInTheMiddleOfAMessage(t *testing.T) {
	t.Parallel()
	fake := &fakeRedis{after: func(int) string { return goodMessage + goodMessage[:len(goodMessage)-7] }}
	fake.start(t)
	var first, second collector
	cfg := quick(fake.addr)
	cfg.HeartbeatTimeout = time.Minute // there are no heartbeats
	f, err := New(cfg, &first)
	if err != nil {
		t.Fatal(err)
	}
	f.freeze.careful.Store(true) // the fake sends no heartbeats back
	feed := runs(t, f)
	redistest.WaitFor(t, "the first message", func() bool { return len(first.all()) == 1 })
	next := imports(t, cfg, &second, frozen(t, feed.Feed))
	feed.Commit()
	runs(t, next)
	fake.say(t, goodMessage[len(goodMessage)-7:])
	redistest.WaitFor(t, "the second message", func() bool { return len(second.all()) == 1 })
	if a, b := first.all(), second.all(); !slices.Equal(a, b) || len(a) != 1 {
		t.Errorf("%q, then %q", a, b)
	}
}

// wantTold fails unless all came once and in order, or in a gap that was told. How soon it came is the machine's business.
func wantTold(t *testing.T, tr *traffic) {
	t.Helper()
	r := tr.end(t)
	t.Logf("%+v", r)
	if r.twice > 0 || r.untold > 0 || r.reordered > 0 || len(tr.gaps) == 0 {
		t.Errorf("%+v, told gaps %v", r, tr.gaps)
	}
}

// While Redis is away there is no link. The next process goes on with the outage, and tells of the gap from its beginning.
func TestHandoverWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			cfg := noticing(quick(server.Addr()))
			feed, tr := follows(t, cfg, mode, publishTo(t, server))
			cfg.Mode = mode
			tr.watch(&cfg)
			server.Kill()
			redistest.WaitFor(t, "some attempts", func() bool { return feed.Status().Attempts > 1 })
			outage := feed.Status().Outage
			feed = handedOver(t, feed, cfg, tr, tr.users)
			if s := feed.Status(); s.Connected || s.Err == "" || s.Outage.Sub(outage).Abs() > time.Minute {
				t.Errorf("status %+v, the outage began at %s", s, outage)
			}
			server.Restart()
			tr.waitForMore(t, 300)
			wantTold(t, tr)
		})
	}
}

// Redis dies right before the next process begins, and right after.
func TestRedisDiesAtTheHandover(t *testing.T) {
	t.Parallel()
	for name, mode := range modes {
		for _, before := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				server := redistest.Start(t)
				cfg := noticing(quick(server.Addr()))
				feed, tr := follows(t, cfg, mode, publishTo(t, server))
				cfg.Mode = mode
				tr.watch(&cfg)
				next := imports(t, cfg, tr, frozen(t, feed.Feed))
				for _, user := range tr.users {
					next.Acquire(user, make(awaited, 1))
				}
				if before {
					server.Kill()
				}
				feed.Commit()
				feed = runs(t, next)
				if !before {
					server.Kill()
				}
				redistest.WaitFor(t, "the link to be lost", func() bool { return !feed.Status().Connected })
				server.Restart()
				tr.waitForMore(t, 300)
				wantTold(t, tr)
			})
		}
	}
}

// A Redis that hangs holds nothing up: the readers were told before.
func TestFreezeNeedsNoRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var sink collector
	cfg := quick(server.Addr())
	cfg.HeartbeatTimeout = time.Hour // else the link would be lost
	cfg.Timeout = 2 * time.Second
	feed := connected(t, cfg, &sink)
	if err := feed.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	server.Pause()
	defer server.Resume()
	next := imports(t, cfg, &sink, frozen(t, feed.Feed))
	feed.Commit()
	runs(t, next)
	server.Resume()
	server.Publish("user_noti:a", "1")
	redistest.WaitFor(t, "the notification", func() bool { return sink.has(notification{"a", "1"}) })
}

// A feed whose sink does not come back can't be frozen, says so, and goes on.
func TestFreezeInTime(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	gate := make(chan struct{})
	entered := make(chan struct{}, 2)
	var sink collector
	feed := connected(t, quick(server.Addr()), sinkFunc(func(user, payload string) {
		entered <- struct{}{}
		<-gate
		sink.Deliver(user, payload)
	}))
	if err := feed.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	server.Publish("user_noti:a", "1")
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := feed.Freeze(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("frozen with a sink that blocks: %v", err)
	}
	feed.Unfreeze()
	close(gate)
	server.Publish("user_noti:a", "2")
	redistest.WaitFor(t, "both", func() bool { return len(sink.all()) == 2 })
	frozen(t, feed.Feed)
	feed.Unfreeze()
}

// A feed refuses a state with which it could not go on, and says why.
func TestImportRefuses(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	feed := connected(t, quick(server.Addr()), &collector{})
	all := frozen(t, feed.Feed)
	defer feed.Unfreeze()
	perUser, marks := quick(server.Addr()), quick(server.Addr())
	perUser.Mode = PerUser
	marks.Marker = func(string, bool) {}
	one := all[0]
	for name, test := range map[string]struct {
		cfg     Config
		section []byte
		sockets []int
		says    string
	}{
		"another mode":    {cfg: perUser, section: one.section, sockets: one.descriptors, says: "REDIS_FEED"},
		"markers":         {cfg: marks, section: one.section, sockets: one.descriptors, says: "subscribed"},
		"no socket":       {cfg: quick(server.Addr()), section: one.section, says: "without its socket"},
		"another version": {cfg: quick(server.Addr()), section: append([]byte{9}, one.section[1:]...), says: "version 9"},
		"cut off":         {cfg: quick(server.Addr()), section: one.section[:len(one.section)-1], says: "ends too early"},
		"more":            {cfg: quick(server.Addr()), section: append(slices.Clone(one.section), 0), says: "more"},
		"nothing":         {cfg: quick(server.Addr()), says: "ends too early"},
	} {
		f, err := New(test.cfg, &collector{})
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Import(test.section, test.sockets); err != nil {
			t.Error(err)
		}
		if err := f.FinishImport(); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", name, err)
		}
		_ = f.Close()
	}
	for _, fd := range one.descriptors {
		_ = unix.Close(fd)
	}
}
