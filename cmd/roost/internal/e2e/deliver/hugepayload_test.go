package deliver

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// hugeMiB is the size of a notification that is far beyond all limits, and beyond what Redis keeps for a subscriber. Memory is judged
// without the race detector, to which 64 MiB are two seconds of processor time: on a busy machine Redis has nothing to say meanwhile for
// longer than a link may be silent.
func hugeMiB() int {
	if roosttest.RaceEnabled {
		return 8
	}
	return 40
}

// publishHuge publishes such a notification, once: a client with the usual timeouts could give up and try again.
func publishHuge(t *testing.T, server *redistest.Server) {
	t.Helper()
	client := redis.NewClient(&redis.Options{
		Addr: server.Addr(), Protocol: 2, DisableIdentity: true, MaxRetries: -1,
		ReadTimeout: roosttest.Limit, WriteTimeout: roosttest.Limit,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	defer client.Close()
	huge := `{"type":"n","payload":"` + strings.Repeat("x", hugeMiB()<<20) + `"}`
	if err := client.Publish(t.Context(), "user_noti:alice", huge).Err(); err != nil {
		t.Fatalf("publishing %d MiB: %v", hugeMiB(), err)
	}
}

// Redis ends a subscriber for which more than client-output-buffer-limit waits, 32 MB by default: a huge notification
// is a gap, which is counted and told, and the feed goes on.
func TestHugePayloadCutsTheFeed(t *testing.T) {
	t.Parallel()
	var limit []string
	if roosttest.RaceEnabled { // less than hugeMiB
		limit = []string{"--client-output-buffer-limit", "pubsub 4mb 1mb 60"}
	}
	redis := redistest.Start(t, limit...)
	server := roosttest.Start(t, redis, roosttest.Env{"WS_GAP_NOTICE": "true"})
	alice := server.Connect("alice")
	before := server.Memory("VmHWM")
	publishHuge(t, redis)
	server.WaitLine("redis link lost")
	server.WaitMetric("roost_redis_reconnects_total", 1)
	server.WaitMetric("roost_redis_up", 1)
	alice.WaitMessages(1) // nothing says that the notice is ahead of what is published when the feed is back
	e2e.Notify(redis, "alice", e2e.Numbered(1))
	got := alice.WaitMessages(2)
	if !strings.Contains(got[0], `"_gap"`) || !strings.HasPrefix(got[1], `{"type":"n"`) || len(got) != 2 {
		t.Errorf("alice got %.200q, want a notice of the gap and what came after it", got)
	}
	if grown := server.Memory("VmHWM") - before; grown > hugeMiB()<<20 && !roosttest.RaceEnabled {
		t.Errorf("the server grew by %d MiB for what Redis dropped", grown>>20)
	}
}

// With that limit raised the payload comes. It is dropped and counted, what follows is delivered, and the memory in
// which it was read goes back.
func TestHugePayloadIsDropped(t *testing.T) {
	t.Parallel()
	roosttest.WaitFor(t, "huge notifications for which this machine is not too busy", func() bool { return dropsHuge(t) })
}

// dropsHuge returns false where Redis has not got through one in the time that a link may be silent.
func dropsHuge(t *testing.T) bool {
	t.Helper()
	redis := redistest.Start(t, "--client-output-buffer-limit", "pubsub 0 0 0")
	server := roosttest.Start(t, redis, nil)
	alice := server.Connect("alice")
	before := server.Memory("RssAnon")
	times := 3 // so that memory that is kept adds up
	if roosttest.RaceEnabled {
		times = 1 // memory is not judged
	}
	for n := range times {
		publishHuge(t, redis)
		e2e.Notify(redis, "alice", e2e.Numbered(n))
		tooSlow := func() bool {
			return len(server.Log.Find("redis link lost", "error", "nothing came from redis for 8s")) > 0
		}
		roosttest.WaitFor(t, "what is behind it", func() bool { return len(alice.Messages()) > n || tooSlow() })
		if tooSlow() {
			return false
		}
		if got := alice.Messages(); !strings.HasPrefix(got[n], `{"type":"n"`) || len(got[n]) > 100 {
			t.Fatalf("after a huge one alice got %.100q", got[n])
		}
	}
	metrics := server.Metrics()
	if tooBig := metrics[`roost_notifications_invalid_total{reason="too_big"}`]; tooBig != float64(times) {
		t.Errorf("%v are counted as too big, want %d", tooBig, times)
	}
	if n := metrics["roost_redis_reconnects_total"]; n != 0 || alice.Ended() {
		t.Errorf("%v reconnects, alice ended: %v", n, alice.Ended())
	}
	peak := server.Memory("VmHWM")
	t.Logf("RssAnon %d MiB before, VmHWM %d MiB", before>>20, peak>>20)
	if roosttest.RaceEnabled { // the race detector has several times the memory, and never gives it back
		return true
	}
	// Two and a half of it are what was read, which the sink gets, and the buffers that it grew from: nothing of the notification before it.
	if peak > before+7*hugeMiB()<<20/2 {
		t.Errorf("the server had %d MiB in the end, %d before", peak>>20, before>>20)
	}
	if testing.Short() {
		return true
	}
	const mayGrow = 16 << 20
	roosttest.WaitWithin(t, time.Minute, "the memory to go back", func() bool { return server.Memory("RssAnon") <= before+mayGrow }) // by itself Go collects after two minutes
	return true
}
