package redisfeed

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"roost/redisfeed/publish"
	"roost/redisfeed/redistest"
)

func TestMain(m *testing.M) {
	publish.RouteLibraryLog(slog.New(slog.DiscardHandler))
	// A pool that could not dial has a goroutine that looks once a second whether it has been closed.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

type notification struct{ user, payload string }

// collector is a Sink that keeps what it gets.
type collector struct {
	mu  sync.Mutex
	got []notification
}

func (c *collector) Deliver(user, payload string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, notification{user, payload})
}

func (*collector) Flush() {}

// Broadcast and DeliverGroup note what came by the channel's name.
func (c *collector) Broadcast(payload string) { c.Deliver("everyone", payload) }
func (c *collector) DeliverGroup(group, payload string) {
	c.Deliver(publish.GroupPrefix+group, payload)
}

// Control notes a command among the notifications, which shows the order.
func (c *collector) Control(user, payload string) { c.Deliver(publish.ControlPrefix+user, payload) }

func (c *collector) all() []notification {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]notification(nil), c.got...)
}

func (c *collector) has(n notification) bool {
	for _, g := range c.all() {
		if g == n {
			return true
		}
	}
	return false
}

// sinkFunc is a Sink made of a function.
type sinkFunc func(user, payload string)

func (f sinkFunc) Deliver(user, payload string) { f(user, payload) }
func (sinkFunc) Flush()                         {}
func (sinkFunc) Control(_, _ string)            {}
func (sinkFunc) Broadcast(string)               {}
func (sinkFunc) DeliverGroup(_, _ string)       {}

// quick is a Config with short waits. Links are not lost, and nothing else fails, because a busy machine stands still.
func quick(addr string) Config {
	return Config{
		Config:            publish.Config{Addr: addr, PoolSize: 5, Timeout: redistest.Patience / 2, AnswerTimeout: redistest.Patience / 2},
		RetryDelay:        20 * time.Millisecond,
		HeartbeatInterval: 100 * time.Millisecond,
		HeartbeatTimeout:  redistest.Patience / 2,
	}
}

// silence is the HeartbeatTimeout of tests in which Redis hangs, or in which a gap may not be told from too early. A machine that
// stands still for longer has links be lost: these tests bear it.
const silence = 4 * time.Second

// noticing is cfg with that.
func noticing(cfg Config) Config {
	cfg.HeartbeatTimeout, cfg.Timeout = silence, silence
	return cfg
}

// notLost wants a time in which the link is not lost, and calls meanwhile often.
func notLost(t *testing.T, feed *Feed, least time.Duration, meanwhile func()) {
	t.Helper()
	var since time.Time
	var gaps uint64
	redistest.WaitFor(t, least.String()+" without a loss", func() bool {
		meanwhile()
		if s := feed.Status(); since.IsZero() || !s.Connected || s.Gaps != gaps {
			since, gaps = time.Now(), s.Gaps
		}
		return time.Since(since) > least
	})
}

// running is a feed under test.
type running struct {
	*Feed
	cancel context.CancelFunc
	done   chan struct{} // closed when Run has returned
	err    error         // what it returned; after done
}

// run runs a feed until the test ends.
func run(t testing.TB, cfg Config, sink Sink) *running {
	t.Helper()
	f, err := New(cfg, sink)
	if err != nil {
		t.Fatal(err)
	}
	return runs(t, f)
}

// runs is run for a feed that was made.
func runs(t testing.TB, f *Feed) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{Feed: f, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.err = f.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		r.wait(t)
	})
	return r
}

// connected runs a feed and waits until it is subscribed.
func connected(t testing.TB, cfg Config, sink Sink) *running {
	t.Helper()
	r := run(t, cfg, sink)
	r.waitConnected(t)
	return r
}

func (r *running) waitConnected(t testing.TB) {
	t.Helper()
	redistest.WaitFor(t, "the feed to be connected", func() bool { return r.Status().Connected })
}

func (r *running) wait(t testing.TB) error {
	t.Helper()
	select {
	case <-r.done:
		return r.err
	case <-time.After(redistest.Patience):
		t.Fatal("Run does not return")
		return nil
	}
}
