package deliver

import (
	"strings"
	"testing"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

func TestTwoInstances(t *testing.T) {
	eachFeed(t, testTwoInstances)
}

func testTwoInstances(t *testing.T, b *feedSide) {
	one, two := b.start(t, nil), b.start(t, nil)
	onOne, onTwo, onBoth := one.Connect("only-one"), two.Connect("only-two"), []*roosttest.Client{one.Connect("both"), two.Connect("both")}
	b.awaitHeard(t, one, 2)
	b.awaitHeard(t, two, 2)

	const total = 50
	for n := range total {
		for user, servers := range map[string]int64{"only-one": 1, "only-two": 1, "both": 2} {
			if b.hearsAll() {
				servers = 2
			}
			if heard := b.notify(t, user, e2e.Numbered(n)); heard != servers {
				t.Fatalf("%d instances heard a notification for %s, want %d", heard, user, servers)
			}
		}
	}
	for i, c := range append(onBoth, onOne, onTwo) {
		if got := c.WaitMessages(total); len(got) != total {
			t.Errorf("connection %d got %d messages, want %d", i, len(got), total)
		}
	}
	wantReceived, wantOffline := 3*total, total
	if !b.hearsAll() {
		wantReceived, wantOffline = 2*total, 0
	}
	for _, server := range []*roosttest.Server{one, two} {
		server.WaitMetric("roost_deliveries_sent_total", 2*total)
		metrics := server.Metrics()
		received, offline := metrics["roost_notifications_received_total"], metrics["roost_notifications_offline_total"]
		if received != float64(wantReceived) || offline != float64(wantOffline) {
			t.Errorf("received %v, of these %v offline; want %d and %d", received, offline, wantReceived, wantOffline)
		}
	}

	if code := one.Stop(); code != 0 {
		t.Errorf("the first instance ended with %d", code)
	}
	b.notify(t, "both", e2e.Numbered(total))
	onBoth[1].WaitMessages(total + 1)
	e2e.WaitDeep(t, two)
}

// TestProbesOfOneInstanceAreNothingToAnother has identities of deep checks on the Redis that both listen to.
func TestProbesOfOneInstanceAreNothingToAnother(t *testing.T) {
	t.Parallel()
	redis, one := e2e.Start(t, nil)
	two := roosttest.Start(t, redis, roosttest.Env{"WS_MODE": "debug"})
	e2e.WaitDeep(t, one)
	e2e.Notify(redis, "\x00probe:somebody's", "nonsense")
	e2e.Notify(redis, "bob", e2e.Numbered(1)) // comes after both of them
	two.WaitMetric("roost_notifications_received_total", 1)
	if n := two.Metrics().Sum("roost_notifications_invalid_total"); n != 0 {
		t.Errorf("%v are counted as invalid", n)
	}
	two.Stop() // lines are gathered before they are written, and now they all are
	if log := two.Log.String(); strings.Contains(log, "probe:") || strings.Contains(log, "skipped") {
		t.Errorf("logged %s", log)
	}
}
