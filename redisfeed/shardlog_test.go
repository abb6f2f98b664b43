package redisfeed

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"roost/redisfeed/redistest"
)

// logging is cfg with a log that can be read, and with time for a heartbeat: one that a busy machine holds up until the next one
// is a line too.
func logging(cfg Config) (Config, *redistest.Log) {
	var log redistest.Log
	cfg.Logger = log.Logger()
	cfg.HeartbeatInterval, cfg.HeartbeatTimeout = 20*time.Second, redistest.Patience
	return cfg, &log
}

// A Redis without sharded channels answers everything else. That users are not subscribed is logged once, and not for each.
func TestShardedSaysThatRedisIsTooOld(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.ClusterOptions{NoReplicas: true, Args: []string{"--rename-command", "SSUBSCRIBE", ""}})
	c.KeepRoles()
	cfg, log := logging(sharded(c))
	feed := connected(t, cfg, &collector{})
	for _, user := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		feed.Acquire(user, make(awaited, 1))
	}
	redistest.WaitFor(t, "the reason in the log", func() bool {
		return strings.Contains(log.String(), "this Redis has no sharded channels, which want 7.0 or later (REDIS_FEED)")
	})
	redistest.WaitFor(t, "users to be tried again", func() bool { return feed.subs.UnderWay() == 0 })
	feed.cancel()
	_ = feed.wait(t)
	if n := strings.Count(log.String(), "does not subscribe to users"); n != 1 {
		t.Errorf("it is said %d times, want once:\n%s", n, log.String())
	}
}

// A node that refuses us answers to PING, and is tried several times a second.
func TestShardedSaysOnceThatItIsRefused(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.ClusterOptions{NoReplicas: true})
	c.KeepRoles()
	cfg, log := logging(sharded(c))
	cfg.Username, cfg.Password = "narrow", "pw"
	for _, server := range clients(c) {
		redistest.Allow(t, server, "narrow", "pw", []string{"+@all", "-ssubscribe", "&*"})
	}
	feed := connected(t, cfg, &collector{})
	join(t, feed.Feed, "alice") // let in without
	tries := func() (n int) {
		for _, server := range clients(c) {
			stats, err := server.InfoMap(t.Context(), "errorstats").Result()
			if err != nil {
				t.Fatal(err)
			}
			var count int
			_, _ = fmt.Sscanf(stats["Errorstats"]["errorstat_NOPERM"], "count=%d", &count)
			n += count
		}
		return n
	}
	redistest.WaitFor(t, "some more attempts", func() bool { return tries() >= 4 })
	said := log.String()
	if n := strings.Count(said, "redis shard"); n != 1 || !strings.Contains(said, "the user lacks a permission") {
		t.Errorf("%d lines about shards, want 1:\n%s", n, said)
	}
	if gaps := feed.Status().Gaps; gaps != 1 {
		t.Errorf("%d gaps, want 1", gaps)
	}
}

// An ordinary stop is nothing that somebody has to look at.
func TestShardedStopsWithoutAnAlarm(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.ClusterOptions{NoReplicas: true})
	c.KeepRoles()
	cfg, log := logging(sharded(c))
	feed := connected(t, cfg, &collector{})
	for _, user := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		join(t, feed.Feed, user)
	}
	before := log.String() // a busy machine may have said something
	feed.cancel()
	_ = feed.wait(t)
	if said := strings.TrimPrefix(log.String(), before); strings.Contains(said, "level=WARN") {
		t.Errorf("the log has\n%s", said)
	}
}

// A Redis says in its own words that it is a cluster, or that it is none; our errors name the variable.
func TestErrorsNameREDISCLUSTER(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	cfg := quick("")
	cfg.Nodes, cfg.MaxAttempts = []string{server.Addr()}, 1
	err := inTime(t, func() error { return run(t, cfg, &collector{}).wait(t) })
	const hint = "this Redis is not one of a cluster (REDIS_CLUSTER has to be false)"
	if err == nil || strings.Count(err.Error(), hint) != 1 {
		t.Errorf("ended with %v, want once %s", err, hint)
	}
}
