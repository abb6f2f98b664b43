package presence

import (
	"log/slog"
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

// quick is a Config with a small pool. Nothing is refused because a busy machine is slow to connect, or to answer.
func quick(addr string) publish.Config {
	return publish.Config{Addr: addr, PoolSize: 5, Timeout: redistest.Patience / 2, AnswerTimeout: redistest.Patience / 2}
}

// patient is New for tests that are not about an answer which does not come.
func patient(t testing.TB, cfg publish.Config, ttl time.Duration, users *people, tell func([]Event)) *Writer {
	t.Helper()
	p, err := New(cfg, ttl, users, tell)
	if err != nil {
		t.Fatal(err)
	}
	p.patience, p.leaveIn = redistest.Patience/2, redistest.Patience/2
	return p
}

// following is a quick Config for the master that the trio's sentinels know.
func following(tr *redistest.Trio) publish.Config {
	cfg := quick("")
	cfg.Sentinels, cfg.MasterName = tr.Addrs(), redistest.MasterName
	return cfg
}

func must(p *publish.Publisher, err error) *publish.Publisher {
	if err != nil {
		panic(err)
	}
	return p
}
