package redisfeed

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"roost/redisfeed/redistest"
)

// What docs/configuration.md gives the user for each feed is enough, and nothing of it is too much.
func TestNarrowACLPerUser(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	narrow(t, perUser(server.Addr()), []*redis.Client{server.Client()})
}

func TestNarrowACLSharded(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.ClusterOptions{NoReplicas: true})
	narrow(t, sharded(c), clients(c))
}

func TestNarrowACLPatternOnACluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.ClusterOptions{NoReplicas: true})
	cfg := quick("")
	cfg.Nodes = c.Addrs()
	narrow(t, cfg, clients(c))
}

func clients(c *redistest.Cluster) (all []*redis.Client) {
	for _, server := range c.Nodes() {
		all = append(all, server.Client())
	}
	return all
}

// narrow runs a feed as a user who may do what is documented, and as others who lack one of these permissions each.
func narrow(t *testing.T, cfg Config, servers []*redis.Client) {
	t.Helper()
	page, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), "`"+cfg.permissions()+"`") {
		t.Fatalf("docs/configuration.md has no %s", cfg.permissions())
	}
	least := strings.Fields(cfg.permissions())
	cfg.Password = "pw"
	works := func(name string, permissions []string) bool {
		for _, server := range servers {
			redistest.Allow(t, server, name, "pw", permissions)
		}
		mine := cfg
		mine.Username = name
		mine.UnsubscribeDelay, mine.MaxAttempts = -1, 1
		return goesRoundTo(t, mine, servers)
	}
	if !works("least", least) {
		t.Fatalf("%v is not enough", least)
	}
	for i, missing := range least {
		if works("without-"+missing, redistest.Without(least, i)) {
			t.Errorf("%s is not needed", missing)
		}
	}
}

// goesRoundTo reports whether a feed does all that there is to do.
func goesRoundTo(t *testing.T, cfg Config, servers []*redis.Client) bool {
	t.Helper()
	var sink collector
	feed, err := New(cfg, &sink)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = feed.Run(ctx)
	}()
	defer func() { cancel(); <-ended }()
	until := func(cond func() bool) bool {
		ok := false
		redistest.WaitFor(t, "it to work, or to fail", func() bool {
			select {
			case <-ended:
				return true
			default:
				ok = cond()
				return ok || feed.failedOnce(servers)
			}
		})
		return ok
	}
	users := []string{"a", "b", "c", "d", "e", "f", "g", "h"} // of all shards
	if !until(func() bool { return feed.Status().Connected && feed.Status().Ping > 0 }) {
		return false
	}
	for _, user := range users {
		feed.Acquire(user, make(awaited, 1))
	}
	if cfg.Mode != Pattern && !until(func() bool { return feed.Status().Audience == Audience{Heard: len(users)} }) {
		return false
	}
	for _, user := range users {
		if _, err := feed.Publish(ctx, user, "x"); err != nil {
			return false
		}
	}
	if !until(func() bool { return len(sink.all()) == len(users) }) {
		return false
	}
	for _, user := range users {
		feed.Release(user)
	}
	if cfg.Mode != Pattern && !until(func() bool { return feed.Status().Audience == Audience{} }) {
		return false
	}
	return !feed.failedOnce(servers) // the end of a link ends subscriptions, too
}

// failedOnce reports whether redis has refused something to the feed's user.
func (f *Feed) failedOnce(servers []*redis.Client) bool {
	for _, server := range servers {
		log, _ := server.Do(context.Background(), "ACL", "LOG").Slice()
		for _, entry := range log {
			fields, _ := entry.([]any)
			for i := 0; i+1 < len(fields); i += 2 {
				if fields[i] == "username" && fields[i+1] == f.cfg.Username {
					return true
				}
			}
		}
	}
	return false
}
