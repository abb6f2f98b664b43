package redisfeed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"roost/redisfeed/internal/topology"
	"roost/redisfeed/publish"
	"roost/redisfeed/redistest"
)

// fakes starts sentinels that name a master.
func fakes(t *testing.T, all ...topology.Master) []*fakeSentinel {
	t.Helper()
	var list []*fakeSentinel
	for _, m := range all {
		f := &fakeSentinel{master: m}
		f.start(t)
		list = append(list, f)
	}
	return list
}

// believing is a quick Config for what sentinels say.
func believing(list ...*fakeSentinel) Config {
	cfg := quick("")
	cfg.MasterName = "m"
	for _, f := range list {
		cfg.Sentinels = append(cfg.Sentinels, f.addr)
	}
	return cfg
}

// A master that was made a replica takes PUBLISH and passes on what its master is told: nothing about it looks wrong.
// The feed leaves it all the same, at once, and takes what publishes along.
func TestDemotedMasterIsLeft(t *testing.T) {
	t.Parallel()
	one, two := redistest.Start(t), redistest.Start(t, "--repl-diskless-sync-delay", "0")
	sentinel := fakes(t, topology.Master{Addr: one.Addr(), Epoch: 1})[0]
	var sink collector
	var log redistest.Log
	cfg := believing(sentinel)
	cfg.RetryDelay, cfg.Logger = time.Hour, log.Logger() // no reason to wait when there is another master
	feed := connected(t, cfg, &sink)
	if err := one.Client().Do(t.Context(), "REPLICAOF", two.Host(), two.Port()).Err(); err != nil {
		t.Fatal(err)
	}
	redistest.WaitFor(t, "notifications of the new master through the old", func() bool {
		two.Publish("user_noti:a", "replicated")
		return sink.has(notification{"a", "replicated"})
	})
	if s := feed.Status(); !s.Connected || s.Gaps != 0 {
		t.Fatalf("the link ended by itself: %+v", s)
	}
	old, err := feed.pool.Client(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sentinel.say(topology.Master{Addr: two.Addr(), Epoch: 2})
	redistest.WaitFor(t, "the new link", func() bool { s := feed.Status(); return s.Connected && s.Gaps == 1 })
	err = inTime(t, func() error { // it asks the sentinel where a heartbeat was late
		_, err := feed.Publish(t.Context(), "a", "x")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	redistest.WaitFor(t, "the notification", func() bool { return sink.has(notification{"a", "x"}) })
	if err := old.Ping(t.Context()).Err(); !errors.Is(err, redis.ErrClosed) {
		t.Errorf("what published on the old master: %v, want it closed", err)
	}
	for _, s := range []*redistest.Server{one, two} {
		want := s == two
		redistest.WaitFor(t, "the subscription to be on the new master", func() bool {
			clients, err := s.Client().ClientList(t.Context()).Result()
			return err == nil && strings.Contains(clients, "cmd=psubscribe") == want
		})
	}
	want := "the sentinels name another master: " + two.Addr() + ", and no longer " + one.Addr()
	if !strings.Contains(log.String(), want) {
		t.Errorf("the log does not say %q:\n%s", want, log.String())
	}
}

// A link that broke finds the new master by itself. The publisher follows, though the old master would still take publishes.
func TestPublisherGoesWithTheLink(t *testing.T) {
	t.Parallel()
	one, two := redistest.Start(t), redistest.Start(t)
	sentinel := fakes(t, topology.Master{Addr: one.Addr(), Epoch: 1})[0]
	var sink collector
	cfg := believing(sentinel)
	cfg.HeartbeatInterval, cfg.HeartbeatTimeout = time.Hour, 2*time.Hour // so that nothing else asks
	feed := connected(t, cfg, &sink)
	sentinel.say(topology.Master{Addr: two.Addr(), Epoch: 2})
	if err := one.Client().Do(t.Context(), "CLIENT", "KILL", "TYPE", "pubsub").Err(); err != nil {
		t.Fatal(err)
	}
	redistest.WaitFor(t, "the new link", func() bool { s := feed.Status(); return s.Connected && s.Gaps == 1 })
	if n, err := feed.Publish(t.Context(), "a", "x"); n != 1 || err != nil {
		t.Errorf("%d received it, %v", n, err)
	}
	redistest.WaitFor(t, "the notification", func() bool { return sink.has(notification{"a", "x"}) })
}

// Notifications that are published on the new master before the feed is there are lost, and lie in the gap that is told.
func TestGapHoldsWhatTheNewMasterTook(t *testing.T) {
	t.Parallel()
	one, two := redistest.Start(t), redistest.Start(t)
	sentinel := fakes(t, topology.Master{Addr: one.Addr(), Epoch: 1})[0]
	var sink collector
	cfg := believing(sentinel)
	gaps := make(chan time.Time, 10)
	cfg.Gap = func(since time.Time) { gaps <- since }
	feed := connected(t, cfg, &sink)
	lost := time.Now()
	if n := two.Publish("user_noti:a", "lost"); n != 0 {
		t.Fatalf("%d received it", n)
	}
	sentinel.say(topology.Master{Addr: two.Addr(), Epoch: 2})
	if since := <-gaps; since.After(lost) || lost.Sub(since) > redistest.Patience {
		t.Errorf("the gap is since %s, what is lost was published at %s", since, lost)
	}
	two.Publish("user_noti:a", "kept")
	redistest.WaitFor(t, "the notification", func() bool { return sink.has(notification{"a", "kept"}) })
	if s := feed.Status(); s.Gaps != 1 || len(sink.all()) != 1 || len(gaps) != 0 {
		t.Errorf("status %+v, got %q, %d more gaps told", s, sink.all(), len(gaps))
	}
}

// A sentinel that was cut off from the others says what was, and may be the only one that answers.
func TestSentinelThatIsBehind(t *testing.T) {
	t.Parallel()
	right, wrong := redistest.Start(t), redistest.Start(t)
	list := fakes(t, topology.Master{Addr: wrong.Addr(), Epoch: 4}, topology.Master{Addr: right.Addr(), Epoch: 5})
	cfg := believing(list...)
	cfg.Sentinels = append(cfg.Sentinels, redistest.Listen(t), "127.0.0.1:1") // one that hangs, and one that is not there
	// A heartbeat that comes behind one that was late asks the sentinels, and waits for the one that hangs: it needs time for both.
	cfg.HeartbeatInterval = 500 * time.Millisecond
	feed := connected(t, cfg, &collector{})
	// Where the right one takes its time to answer, the first link is to the other.
	redistest.WaitFor(t, "a ping of the right one", func() bool {
		at := feed.target.Load() // publishers move before the link does; and before the status: that of the link before says connected, too
		s := feed.Status()
		return s.Connected && s.Ping > 0 && at != nil && at.Addr == right.Addr() && feed.publisher.Addr() == right.Addr()
	})
	gaps := feed.Status().Gaps
	list[1].shut()
	before := list[0].questions()
	redistest.WaitFor(t, "the one that is behind to be asked", func() bool { return list[0].questions() > before+1 })
	feed.publisher.Pool().Doubt() // as after a publish that failed
	if _, err := feed.publisher.Pool().Client(t.Context()); err != nil {
		t.Error(err)
	}
	if s := feed.Status(); !s.Connected || s.Gaps != gaps || feed.publisher.Addr() != right.Addr() {
		t.Errorf("on %s: %+v", feed.publisher.Addr(), s)
	}
	list[0].say(topology.Master{Addr: wrong.Addr(), Epoch: 6}) // is not behind any more
	redistest.WaitFor(t, "the new link", func() bool { s := feed.Status(); return s.Connected && s.Gaps == gaps+1 })
	if feed.publisher.Addr() != wrong.Addr() {
		t.Errorf("on %s", feed.publisher.Addr())
	}
}

// Sentinels that name the same failover's master in different ways do not make the feed go back and forth.
func TestSentinelsThatDisagree(t *testing.T) {
	t.Parallel()
	one, two := redistest.Start(t), redistest.Start(t)
	list := fakes(t, topology.Master{Addr: one.Addr(), Epoch: 1}, topology.Master{Addr: two.Addr(), Epoch: 1})
	feed := connected(t, believing(list...), &collector{})
	redistest.WaitFor(t, "both to be asked often", func() bool { return list[0].questions() > 20 && list[1].questions() > 20 })
	if s := feed.Status(); !s.Connected || s.Gaps != 0 {
		t.Errorf("status %+v", s)
	}
	// Nor does the one that names the other Redis win when it is the only one that answers in time.
	agrees, other := list[0], list[1]
	if feed.publisher.Addr() == two.Addr() {
		agrees, other = other, agrees
	}
	agrees.shut()
	before := other.questions()
	redistest.WaitFor(t, "the other to be asked often", func() bool { return other.questions() > before+3 })
	if s := feed.Status(); !s.Connected || s.Gaps != 0 {
		t.Errorf("with one that does not answer: status %+v", s)
	}
}

// A sentinel whose host is gone holds nobody up for as long as it might have to answer.
func TestSentinelThatHangs(t *testing.T) {
	t.Parallel()
	one := fakes(t, topology.Master{Addr: "192.0.2.1:6379", Epoch: 1})[0]
	cfg := believing(one)
	cfg.Sentinels = append(cfg.Sentinels, redistest.Listen(t), redistest.Listen(t))
	publisher, err := publish.New(cfg.Config)
	if err != nil {
		t.Fatal(err)
	}
	defer publisher.Close()
	redistest.WaitFor(t, "an answer that is sooner than waiting for the others could be", func() bool {
		start := time.Now()
		got, err := publisher.Pool().Sentinels().Master(t.Context(), "")
		took := time.Since(start)
		if took >= topology.AskLimit {
			return false // on a busy machine
		}
		if err != nil || got != one.master {
			t.Fatalf("got %+v, %v, after %s", got, err, took)
		}
		return true
	})
}

// Close waits for nobody who does not answer, and leaves no goroutine behind.
func TestCloseWhileSentinelsAreAsked(t *testing.T) {
	t.Parallel()
	list := fakes(t, topology.Master{}, topology.Master{})
	list[0].shut()
	list[1].shut()
	redistest.WaitFor(t, "Close to be sooner than an answer could be missed", func() bool {
		publisher, err := publish.New(believing(list...).Config)
		if err != nil {
			t.Fatal(err)
		}
		asked := make(chan error, 1)
		one, other := list[0].questions(), list[1].questions()
		go func() {
			_, err := publisher.Publish(t.Context(), "a", "x")
			asked <- err
		}()
		redistest.WaitFor(t, "both to be asked", func() bool { return list[0].questions() > one && list[1].questions() > other })
		start := time.Now()
		if err := publisher.Close(); err != nil {
			t.Fatal(err)
		}
		took := time.Since(start)
		if err := <-asked; err == nil {
			t.Error("published on nothing")
		}
		if _, err := publisher.Publish(t.Context(), "a", "x"); !errors.Is(err, redis.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		return took < topology.AskLimit
	})
}

// While no sentinel answers the link stays, and so do its heartbeats, also behind one that was late; the log says once what is not
// noticed now.
func TestSentinelsGone(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	sentinel := fakes(t, topology.Master{Addr: server.Addr(), Epoch: 1})[0]
	var sink collector
	var log redistest.Log
	cfg := believing(sentinel)
	cfg.Logger = log.Logger()
	feed := connected(t, cfg, &sink)
	sentinel.refuse()
	ask := func(times int) {
		before := sentinel.questions()
		redistest.WaitFor(t, "more questions", func() bool { return sentinel.questions() > before+times })
	}
	said := func() int { return strings.Count(log.String(), "a failover would not be noticed") }
	ask(2) // the answer to the first of these is a refusal, and the next question comes behind what is said of it
	once := said()
	ask(5)
	server.Publish("user_noti:a", "x")
	redistest.WaitFor(t, "the notification", func() bool { return sink.has(notification{"a", "x"}) })
	if s := feed.Status(); !s.Connected || s.Gaps != 0 {
		t.Errorf("status %+v", s)
	}
	if n := said(); once == 0 || n != once { // more than once if an answer was late before
		t.Errorf("said %d times, and then %d times more", once, n-once)
	}
	feed.publisher.Pool().Doubt() // as after a heartbeat that failed
	beats := func() (n int) {
		_, _ = fmt.Sscanf(server.Client().InfoMap(t.Context(), "commandstats").Item("Commandstats", "cmdstat_publish"), "calls=%d,", &n)
		return n
	}
	before := beats()
	redistest.WaitFor(t, "heartbeats", func() bool { return beats() > before+2 }) // one may have been under way
	// Now nobody knows.
	server.Kill()
	redistest.WaitFor(t, "the reason", func() bool { return strings.Contains(feed.Status().Err, "no sentinel says where the master is") })
}

// inTime tries until the sentinels, or the nodes of a cluster, had time enough: on a busy machine topology.AskLimit, or a second,
// may pass before one that refuses something has said so.
func inTime(t *testing.T, try func() error) (err error) {
	t.Helper()
	redistest.WaitFor(t, "an answer in time", func() bool {
		err = try()
		return !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, os.ErrDeadlineExceeded)
	})
	return err
}

// The log says what sentinels refuse, with the variable to look at.
func TestSentinelsRefuse(t *testing.T) {
	t.Parallel()
	tr := redistest.StartTrio(t, nil)
	tr.KeepMaster()
	sentinel := tr.Sentinels[0]
	redistest.SetUser(t, sentinel.Client(), "roost", "on", ">pw", "-@all", "+sentinel|master", "+sentinel|get-master-addr-by-name")
	redistest.SetUser(t, sentinel.Client(), "poor", "on", ">pw", "-@all", "+sentinel|master")
	locked, plain := tr.Sentinels[2], redistest.Start(t)
	redistest.SetUser(t, locked.Client(), "default", "resetpass", ">secret")
	for _, tt := range []struct {
		name, addr, master, user, password string
		want                               string // in the error; empty: it works
		auth                               bool
	}{
		{name: "the least that is needed", addr: sentinel.Addr(), user: "roost", password: "pw"},
		{name: "other master", addr: sentinel.Addr(), master: "other", want: `it knows no master called "other" (REDIS_MASTER_NAME)`},
		{name: "no password", addr: locked.Addr(), want: "none is configured (REDIS_SENTINEL_PASSWORD)", auth: true},
		{
			name: "wrong password", addr: sentinel.Addr(), user: "roost", password: "guess", auth: true,
			want: "wrong user name or password (REDIS_SENTINEL_USERNAME, REDIS_SENTINEL_PASSWORD)",
		},
		{
			name: "no permission", addr: sentinel.Addr(), user: "poor", password: "pw", auth: true,
			want: "+sentinel|master +sentinel|get-master-addr-by-name",
		},
		{name: "no sentinel", addr: plain.Addr(), want: "it is no sentinel (REDIS_ADDRS)"},
		{name: "nobody there", addr: "127.0.0.1:1", want: "connection refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := quick("")
			cfg.Sentinels, cfg.MasterName = []string{tt.addr}, redistest.MasterName
			if tt.master != "" {
				cfg.MasterName = tt.master
			}
			cfg.SentinelUsername, cfg.SentinelPassword = tt.user, tt.password
			if tt.want == "" {
				worksOver(t, cfg)
				return
			}
			cfg.MaxAttempts = 1
			var feed *running
			err := inTime(t, func() error {
				feed = run(t, cfg, &collector{})
				return feed.wait(t)
			})
			if !errors.Is(err, topology.ErrNoMaster) || !strings.Contains(err.Error(), tt.want) || errors.Is(err, ErrAuth) != tt.auth {
				t.Errorf("Run: %v, want %q", err, tt.want)
			}
			if s := feed.Status(); !strings.Contains(s.Err, tt.addr+": ") || !strings.Contains(s.Err, tt.want) {
				t.Errorf("status says %q", s.Err)
			}
			publisher, err := publish.New(cfg.Config)
			if err != nil {
				t.Fatal(err)
			}
			defer publisher.Close()
			err = inTime(t, func() error {
				_, err := publisher.Publish(t.Context(), "a", "x")
				return err
			})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Publish: %v, want %q", err, tt.want)
			}
		})
	}
}
