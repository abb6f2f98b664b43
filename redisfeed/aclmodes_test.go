package redisfeed

import (
	"context"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"roost/redisfeed/redistest"
)

// The line that docs/redis.md has for each feed is enough, and the feed needs all of it.
func TestNarrowACLPerUser(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	narrow(t, perUser(server.Addr()), []*redis.Client{server.Client()}, "Roost, `user`")
}

func TestNarrowACLSharded(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.ClusterOptions{NoReplicas: true})
	c.KeepRoles()
	narrow(t, sharded(c), clients(c), "Roost, `sharded`")
}

func TestNarrowACLPatternOnACluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.ClusterOptions{NoReplicas: true})
	c.KeepRoles()
	cfg := quick("")
	cfg.Nodes = c.Addrs()
	narrow(t, cfg, clients(c), "Roost, `pattern` on a cluster")
}

func TestNarrowACLPerUserOnACluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.ClusterOptions{NoReplicas: true})
	c.KeepRoles()
	cfg := perUser("")
	cfg.Nodes = c.Addrs()
	narrow(t, cfg, clients(c), "Roost, `user` on a cluster")
}

func clients(c *redistest.Cluster) (all []*redis.Client) {
	for _, server := range c.Nodes() {
		all = append(all, server.Client())
	}
	return all
}

// narrow runs a feed as the user whom the line of docs/redis.md makes, and as others who lack one of its permissions each.
func narrow(t *testing.T, cfg Config, servers []*redis.Client, who string) {
	t.Helper()
	least := redistest.Documented(t, "..", who)
	if got := strings.Join(least, " "); got != cfg.permissions() {
		t.Errorf("docs/redis.md has %q, errors say %q", got, cfg.permissions())
	}
	as := func(name, password string, attempts int) bool {
		mine := cfg
		mine.Username, mine.Password = name, password
		mine.UnsubscribeDelay, mine.MaxAttempts = -1, attempts
		return goesRoundTo(t, mine, servers)
	}
	for _, server := range servers {
		redistest.Paste(t, server, "..", who)
	}
	if !as("roost", "secret", 0) { // a node of a cluster that takes a second to say who has which slots is no refusal
		t.Fatalf("%v is not enough", least)
	}
	for i, missing := range least {
		name := "without-" + missing
		for _, server := range servers {
			redistest.Allow(t, server, name, "pw", redistest.Without(least, i))
		}
		if as(name, "pw", 1) {
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
	if cfg.Mode != Pattern && !until(func() bool { return feed.Status().Users == Users{Subscribed: len(users)} }) {
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
	if cfg.Mode != Pattern && !until(func() bool { return feed.Status().Users == Users{} }) {
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
