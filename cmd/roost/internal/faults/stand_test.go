package faults

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

const (
	users      = 20
	perUser    = 2 // connections
	publishers = 4
	// pace passes between two notifications of a publisher: together they are 500 a second.
	pace = 8 * time.Millisecond
	// lasting is the age from which on a link is taken for one that lasts (the default of REDIS_FEED_RETRY_DELAY).
	lasting = 5 * time.Second
)

// outputLimit is what Redis lets wait for a subscriber.
const outputLimit = "pubsub 1mb 0 0"

// stand is a Redis, a server and its clients.
type stand struct {
	feed    string
	full    bool
	servers []*redistest.Server // one, or the masters of a cluster
	relay   *roosttest.Relay    // to the only one; nil with a cluster
	roost   *roosttest.Server
	clients []*client       // of the users, perUser each
	fillers []string        // users for whom something large can be published: one on each server
	backend func() *backend // makes one
	filling *backend

	turn int // the last victim

	pace sync.RWMutex // held for writing: nobody publishes
	book *ledger
}

// begin starts everything, and then publishing, which the end of the test ends.
func begin(t *testing.T, feed string, full bool) *stand {
	t.Helper()
	s := &stand{feed: feed, full: full, book: newLedger()}
	env := roosttest.Env{"REDIS_FEED": feed, "WS_GAP_NOTICE": "true", "REDIS_FEED_RETRY_DELAY": lasting.String()}
	if !full {
		env["REDIS_FEED_RETRY_DELAY"] = "200ms" // so that the next round need not wait for a link to last
	}
	var target roosttest.Redis
	if feed == "sharded" {
		cluster := redistest.StartCluster(t, redistest.ClusterOptions{NoReplicas: true,
			Args: []string{"--cluster-require-full-coverage", "no", "--client-output-buffer-limit", outputLimit}})
		s.servers, target = cluster.Masters(), cluster.Masters()[0]
		env["REDIS_CLUSTER"], env["REDIS_ADDRS"] = "true", strings.Join(cluster.Addrs(), ",")
		s.backend = func() *backend { return &backend{command: "SPUBLISH", owner: owners(cluster)} }
		for _, server := range s.servers {
			s.fillers = append(s.fillers, userOf(cluster, server))
		}
	} else {
		server := redistest.Start(t, "--client-output-buffer-limit", outputLimit)
		s.servers, s.relay, s.fillers = []*redistest.Server{server}, roosttest.StartRelay(t, server.Addr()), []string{"filler"}
		target = roosttest.RedisAt(s.relay.Addr)
		s.backend = func() *backend {
			return &backend{command: "PUBLISH", owner: func(string) *redistest.Server { return server }}
		}
	}
	s.filling = s.backend()
	t.Cleanup(s.filling.close)
	s.roost = roosttest.Start(t, target, env)
	for _, user := range s.fillers {
		s.roost.Connect(user)
	}
	for n := range users {
		for range perUser {
			s.clients = append(s.clients, connect(t, s.roost, userName(n)))
		}
	}
	if feed != "pattern" { // a handshake waits for the subscription to its user for a second only
		s.roost.WaitMetric(`roost_feed_users{state="heard"}`, float64(users+len(s.fillers)))
	}
	s.traffic(t)
	return s
}

func userName(n int) string { return fmt.Sprintf("user-%d", n) }

// userOf is a user whose notifications a server of a cluster has.
func userOf(cluster *redistest.Cluster, server *redistest.Server) string {
	for n := 0; ; n++ {
		if user := fmt.Sprintf("filler-%d", n); cluster.OwnerOf(channel+user) == server {
			return user
		}
	}
}

const channel = "user_noti:"

// owners says whose a channel is. It asks once: nothing moves here, and one that is away owns its slots all the same.
func owners(cluster *redistest.Cluster) func(channel string) *redistest.Server {
	known := make(map[string]*redistest.Server)
	for n := range users {
		known[channel+userName(n)] = cluster.OwnerOf(channel + userName(n))
	}
	return func(channel string) *redistest.Server {
		if known[channel] == nil {
			known[channel] = cluster.OwnerOf(channel)
		}
		return known[channel]
	}
}

// traffic publishes numbered notifications for all users: each publisher for some of them, one after the other.
func (s *stand) traffic(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() { cancel(); running.Wait() })
	for i := range publishers {
		b := s.backend()
		running.Go(func() {
			defer b.close()
			tick := time.NewTicker(pace)
			defer tick.Stop()
			for n := i; ; n += publishers {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
					s.one(b, userName(n%users))
				}
			}
		})
	}
}

// one publishes the next notification for a user. A user has one publisher.
func (s *stand) one(b *backend, user string) {
	s.pace.RLock()
	defer s.pace.RUnlock()
	number := s.book.next(user)
	err := b.publish(user, fmt.Sprintf(`{"type":"n","payload":%d}`, number))
	s.book.done(user, number, err == nil)
}

// fill publishes so many bytes for a connection of each server, in one notification.
func (s *stand) fill(t *testing.T, size int) {
	t.Helper()
	text := `{"type":"filler","payload":"` + strings.Repeat("x", size) + `"}`
	for _, user := range s.fillers {
		if err := s.filling.publish(user, text); err != nil {
			t.Fatalf("publishing %d bytes for %s: %v", size, user, err)
		}
	}
}

// cut reports whether each Redis has cut those who are subscribed to users.
func (s *stand) cut(t *testing.T) bool {
	t.Helper()
	for _, server := range s.servers {
		clients, err := server.Client().Do(t.Context(), "CLIENT", "LIST", "TYPE", "pubsub").Text()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(strings.TrimSpace(clients)) {
			if s.feed != "sharded" || !strings.Contains(line, " ssub=0 ") {
				return false
			}
		}
	}
	return true
}

// elapse lets some time go by, with its traffic.
func (s *stand) elapse(d time.Duration) { roosttest.Elapse(d, d, func() {}) }
