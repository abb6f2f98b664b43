package soak

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"roost/cmd/roost/internal/roosttest"
	"roost/internal/pause"
	"roost/redisfeed/redistest"
)

func TestMain(m *testing.M) {
	redis.SetLogger(silence{}) // a Redis that is not there is no news here
	os.Exit(m.Run())
}

// silence is a log of go-redis that says nothing.
type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

// soak is one run. Its fields are the test's goroutine's, but for those that say otherwise.
type soak struct {
	plan   plan
	redis  *redistest.Server
	server *roosttest.Server

	publisher  *publisher
	clients    map[string][]*healthy // by user
	kinds      []troublemaker
	acts       []atomic.Int64 // of each kind; any goroutine
	troubles   map[string]int // with Redis, by name
	newClients *newClients
	resumers   []*resumer
	full       *fullServer
	cuts       []cut

	before, peak, after figures
	metrics             roosttest.Metrics // of the end, with nobody connected
	outcome             outcome
	resumed             struct{ times, arrived int }
	took                []time.Duration
}

// TestSoak is everything at once.
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a quarter of a minute and more")
	}
	s := begin(t)
	s.trouble(t)
	s.lastWords(t)
	s.judge(t)
	s.leave(t)
	s.awaitRest(t)
	s.end(t)
	s.report(t)
}

// begin starts the servers and connects the healthy clients.
func begin(t *testing.T) *soak {
	t.Helper()
	// What waits for a server that gets no processor for a while is not dropped: only those cuts are known that the test makes.
	redis := redistest.Start(t, "--client-output-buffer-limit", "pubsub 0 0 0")
	s := &soak{plan: planned(t), redis: redis, kinds: troublemakers(t),
		clients: make(map[string][]*healthy), troubles: make(map[string]int)}
	s.acts = make([]atomic.Int64, len(s.kinds))
	keys := roosttest.NewKeyPair(t, "RS256", issuerKey)
	// One connection to Redis for commands, so that the number of descriptors does not depend on what happened.
	s.server = roosttest.Start(t, s.redis, roosttest.Env{
		"REDIS_POOL_SIZE": "1", "REDIS_MIN_IDLE_CONNS": "1",
		"WS_PING_INTERVAL": "1s", "WS_PONG_WAIT": "20s", "WS_WRITE_WAIT": "3s", "WS_HANDSHAKE_TIMEOUT": "6s", "WS_QUEUE_BYTES": "262144",
		"WS_MAX_PENDING_BYTES": "1048576", "JWT_JWKS_URL": roosttest.NewIssuer(t, keys).URL,
		"WS_RESUME_WINDOW": "2m", "WS_RESUME_BYTES": "1048576",
	})
	s.server.Log.Keep(func(line roosttest.Line) bool {
		level := line.Text("level")
		return level != "INFO" && level != "WARN"
	})
	s.server.WaitMetric("roost_redis_up", 1)
	roosttest.WaitFor(t, "the heartbeat", func() bool { return s.server.Metrics()["roost_redis_ping_seconds"] > 0 })
	s.newClients, s.full = prepareNewClients(t, s.server, keys), startFull(t)
	s.before = measure(t, s.server)
	s.before.goroutines = s.server.Goroutines()

	var users []string
	for n := range s.plan.users {
		user := fmt.Sprintf("healthy-%d", n)
		users = append(users, user)
		for range 1 + n%3 {
			s.clients[user] = append(s.clients[user], connect(t, s.server, user))
		}
	}
	for n := range s.plan.resumers {
		r := newResumer(t, s.server, fmt.Sprintf("resumer-%d", n))
		users = append(users, r.user)
		s.resumers = append(s.resumers, r)
	}
	s.publisher = newPublisher(s.redis.Addr(), users, s.plan.batch)
	return s
}

// trouble has everything go on at once, for as long as the plan says, and on a machine that is busy with other things until
// everything has happened.
func (s *soak) trouble(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	end := time.Now().Add(s.plan.length)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	for _, r := range s.resumers {
		go r.run(ctx)
	}
	for _, r := range s.resumers {
		<-r.came // so that each has an id, and nothing of its begins before it
	}
	running.Go(func() { s.publisher.run(ctx) })
	running.Go(func() { s.newClients.run(ctx) })
	running.Go(func() { s.full.run(ctx) })
	for i, kind := range s.kinds {
		kind.start(ctx, t, &running, s.plan.each, s.server, &s.acts[i])
	}
	all := redisTroubles()
	for i := 0; ; i++ {
		if left := time.Until(end); left < s.plan.every && (left < -roosttest.Limit || len(s.missing(s.server.Metrics())) == 0) {
			pause.For(ctx, left)
			return
		}
		pause.For(ctx, s.plan.every)
		one := all[i%len(all)]
		lost := one.happen(t, s.redis, func() { s.publisher.epoch.Add(1) })
		if one.cuts {
			s.cuts = append(s.cuts, lost)
		}
		s.troubles[one.name]++
		now := measure(t, s.server)
		now.goroutines = int(s.server.Metrics()["go_goroutines"])
		s.peak.peak(now)
	}
}

// lastWords waits until each healthy connection has got the last notification of its user: all others came before.
func (s *soak) lastWords(t *testing.T) {
	t.Helper()
	for _, r := range s.resumers {
		<-r.stays // or the last notification could be one that a gap tells of
	}
	for _, user := range s.publisher.users {
		roosttest.WaitFor(t, "Redis to carry the last notification", func() bool {
			return s.redis.Publish(channel+user, last) > 0
		})
	}
	for _, r := range s.resumers {
		<-r.done
	}
	for user, clients := range s.clients {
		for _, h := range clients {
			roosttest.WaitFor(t, "the last notification of "+user, func() bool {
				select {
				case <-h.done:
					return true
				default:
					return false
				}
			})
		}
	}
}

// leave closes the healthy connections, which then were the only ones.
func (s *soak) leave(t *testing.T) {
	t.Helper()
	for user, clients := range s.clients {
		for _, h := range clients {
			if err := h.leave(); err != nil {
				t.Errorf("%s: leaving: %v", user, err)
			}
		}
	}
}
