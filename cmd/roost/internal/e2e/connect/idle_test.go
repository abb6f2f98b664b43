package connect

import (
	"strconv"
	"sync"
	"testing"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

// TestIdleConnectionsHaveNoGoroutine checks that there are as many goroutines with 5,000 idle
// connections as with 10.
func TestIdleConnectionsHaveNoGoroutine(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, roosttest.Env{"WS_PING_INTERVAL": "5m", "WS_PONG_WAIT": "10m"})
	openIdle(t, server, 10)
	few := server.Goroutines()
	openIdle(t, server, 4990)
	server.WaitMetric("roost_connections", 5000)
	roosttest.WaitFor(t, "the goroutines of the beginning", func() bool { return int(server.Metrics()["go_goroutines"]) <= few })
	e2e.Notify(redis, "user-7", e2e.Numbered(1))
	server.WaitMetric("roost_deliveries_sent_total", 2) // one in each group of idle ones
}

// openIdle opens so many idle connections, each of another user, without a goroutine of ours for each.
func openIdle(t *testing.T, server *roosttest.Server, n int) {
	t.Helper()
	tokens := make(chan string)
	var dialers sync.WaitGroup
	for range 8 {
		dialers.Go(func() {
			for token := range tokens {
				raw, err := server.TryDial(0)
				if err == nil {
					err = raw.Upgrade(token)
				}
				if err != nil {
					t.Errorf("connecting one of %d: %v", n, err)
				}
			}
		})
	}
	for i := range n {
		tokens <- roosttest.Token(t, "user-"+strconv.Itoa(i))
	}
	close(tokens)
	dialers.Wait()
	if t.Failed() {
		t.FailNow()
	}
}
