package presence

import (
	"log/slog"
	"testing"

	"go.uber.org/goleak"

	"roost/redisfeed/publish"
	"roost/redisfeed/redistest"
)

func TestMain(m *testing.M) {
	publish.RouteLibraryLog(slog.New(slog.DiscardHandler))
	// A pool that could not dial has a goroutine that looks once a second whether it has been closed.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

// quick is a Config with a small pool. Nothing is refused because a busy machine is slow to connect.
func quick(addr string) publish.Config {
	return publish.Config{Addr: addr, PoolSize: 5, Timeout: redistest.Patience / 2}
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
