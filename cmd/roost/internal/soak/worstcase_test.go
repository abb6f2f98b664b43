package soak

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"roost/cmd/roost/internal/roosttest"
	"roost/cmd/roost/internal/sizing"
	"roost/redisfeed/redistest"
)

// worstCase is a server in a control group of a given size, and with as many descriptors as it may need, of which all
// that can be filled is full.
type worstCase struct {
	redis     *redistest.Server
	server    *roosttest.Server
	group     *roosttest.MemoryGroup
	newcomers *newcomers
	acts      atomic.Int64
	filled    atomic.Bool // the queues are full: what is for many begins
}

const (
	deafUsers = 100 // each with a connection that reads nothing of its own notifications
	deafBytes = 16 << 10
	deafBatch = 30        // notifications for them every tick
	queued    = 192 << 20 // WS_MAX_QUEUED_BYTES
	pendings  = 8 << 20   // WS_MAX_PENDING_BYTES
	broadcast = 8 << 20   // WS_MAX_BROADCAST_BYTES
)

// worstEnv are small bounds, so that the worst case is small, and long times, so that what is full stays so.
func worstEnv(t *testing.T, keys *roosttest.KeyPair) roosttest.Env {
	return roosttest.Env{
		"GOMAXPROCS": "1", "WS_MAX_CONNECTIONS": "400", "WS_MAX_QUEUED_BYTES": fmt.Sprint(queued),
		"WS_MAX_PENDING_BYTES": fmt.Sprint(pendings), "WS_MAX_BROADCAST_BYTES": fmt.Sprint(broadcast),
		"WS_WRITE_WAIT": "1h", "WS_PONG_WAIT": "1h", "LOGGER_CONNECTION_RATE": "10", "REDIS_HEALTH_GRACE": "1m",
		"JWT_JWKS_URL": roosttest.NewIssuer(t, keys).URL,
	}
}

// stated is what roost doctor says the worst case is with these settings.
func stated(t *testing.T, env roosttest.Env) (w sizing.Worst) {
	t.Helper()
	doctor := roosttest.Run(t, roosttest.Command{Args: []string{"doctor", "--json"}, Env: env})
	doctor.Wait() // with 1 where this machine is too small for all else: what matters is what it says
	var report struct {
		Worst sizing.Worst `json:"worst_case"`
	}
	if err := json.Unmarshal([]byte(doctor.Log.String()), &report); err != nil || report.Worst.Bytes == 0 {
		t.Fatalf("roost doctor printed %q: %v", doctor.Log.String(), err)
	}
	return report.Worst
}

// startWorst starts the server in a group that has that part of what is stated.
func startWorst(t *testing.T, part float64) *worstCase {
	t.Helper()
	keys := roosttest.NewKeyPair(t, "RS256", issuerKey)
	w := &worstCase{redis: redistest.Start(t)}
	env := roosttest.ServerEnv(w.redis, worstEnv(t, keys))
	all := stated(t, env)
	w.group = roosttest.NewMemoryGroup(t, uint64(part*float64(all.Bytes)), uint64(part*float64(all.Of(sizing.Buffers))))
	t.Logf("the worst case is %s, %s of it socket buffers, and %d descriptors", mib(int(all.Bytes)), mib(int(all.Of(sizing.Buffers))), all.Descriptors)
	wrap := append(w.group.Join(), "prlimit", fmt.Sprintf("--nofile=%d", all.Descriptors))
	w.server = roosttest.StartWrapped(t, w.redis, env, wrap...)
	w.newcomers = newNewcomers(t, w.server, keys)
	return w
}

// fill has everything filled, and kept full until ctx ends.
func (w *worstCase) fill(ctx context.Context, t *testing.T, running *sync.WaitGroup) {
	t.Helper()
	for _, kind := range floods(t) {
		kind.start(ctx, t, running, worstCrowd(kind), w.server, &w.acts)
	}
	deaf := troublemaker{far: true, receive: 4096, act: func(p *peer) {
		_ = p.SetDeadline(time.Time{})
		p.wait(time.Hour)
	}}
	for n := range deafUsers {
		kind := deaf
		kind.user, kind.group = fmt.Sprintf("deaf-%d", n), fmt.Sprintf("group-%d", n%deafGroups)
		kind.start(ctx, t, running, 1, w.server, &w.acts)
	}
	running.Go(func() { w.publish(ctx) })
}

// deafGroups is how many groups there are that get more than can be delivered: an eighth of what may wait is for one.
const deafGroups = 10

// worstCrowd is how many times as many as in the soak there are of a kind: as many sockets as are left.
func worstCrowd(kind troublemaker) int {
	if kind.shows == refusedAs("pending_bytes") {
		return 8
	}
	return 1
}

// publish publishes more than there is room for until ctx ends: first what is for one user each, since of what is for many
// there is one copy, however many wait for it.
func (w *worstCase) publish(ctx context.Context) {
	client := redis.NewClient(&redis.Options{Addr: w.redis.Addr(), Protocol: 2, DisableIdentity: true, ReadTimeout: time.Minute, WriteTimeout: time.Minute})
	defer client.Close()
	text := `{"type":"soak","payload":"` + strings.Repeat("x", deafBytes) + `"}`
	for n := 0; pause(ctx, tick); n++ {
		pipe := client.Pipeline()
		for i := range deafBatch {
			pipe.Publish(ctx, channel+fmt.Sprintf("deaf-%d", (deafBatch*n+i)%deafUsers), text)
		}
		for i := range deafGroups {
			if w.filled.Load() {
				pipe.Publish(ctx, fmt.Sprintf("group_noti:group-%d", i), text)
				pipe.Publish(ctx, "user_noti_all", text)
			}
		}
		_, _ = pipe.Exec(ctx)
	}
}

// full says whether there is as much as there may be of what waits for slow clients, to the part that is held back.
func (w *worstCase) full() bool {
	m := w.server.Metrics()
	println(int(m["roost_queued_bytes"])>>20, int(m["roost_pending_bytes"])>>20, int(m["roost_broadcasts_waiting_bytes"])>>20, int(m["roost_connections"]), int(m["roost_sockets"]), int(m["roost_stalled_connections"]), int(m.Sum("roost_deliveries_failed_total")), int(m["roost_redis_up"]), int(m["roost_mailbox_items{loop=\"0\"}"]), int(m["roost_deliveries_accepted_total"]), w.server.Memory("VmRSS")>>20)
	return m["roost_queued_bytes"] > 0.9*queued
}

// TestWorstCase drives a server to the worst case that roost doctor states for it, in a control group of just that size:
// it lives, honest clients get in, and /health and /metrics answer.
func TestWorstCase(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a quarter of a minute and more")
	}
	p := planned(t)
	w := startWorst(t, 1)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	w.fill(ctx, t, &running)
	roosttest.WaitFor(t, "everything to be full", func() bool { return w.full() || w.server.Exited() })
	w.filled.Store(true)
	measured, stop := context.WithTimeout(ctx, min(p.length, time.Minute))
	defer stop()
	w.newcomers.run(measured)
	if w.server.Exited() {
		t.Fatalf("the server was ended in its worst case: %s", w.server.EndedBy())
	}
	w.newcomers.check(t)
	if !w.full() {
		t.Error("what waits for slow clients is not full any more")
	}
	m := w.server.Metrics()
	t.Logf("newcomers %s; /health %s; /metrics %s", &w.newcomers.handshakes, &w.newcomers.health, &w.newcomers.metrics)
	t.Logf("%s were charged at most, VmHWM is %s; waiting %s, pending %s, broadcasts %s; %.0f sockets", mib(w.group.Peak()), mib(w.server.Memory("VmHWM")),
		mib(int(m["roost_queued_bytes"])), mib(int(m["roost_pending_bytes"])), mib(int(m["roost_broadcasts_waiting_bytes"])), m["roost_sockets"])
}
