package deliver

import (
	"context"
	"maps"
	"testing"

	"github.com/redis/go-redis/v9"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// feedSide is one way from a backend to a server, as REDIS_FEED says, and what a backend does there.
type feedSide struct {
	feed   string
	redis  roosttest.Redis
	client redis.UniversalClient
	env    roosttest.Env
}

// eachFeed runs a test for each REDIS_FEED.
func eachFeed(t *testing.T, test func(*testing.T, *feedSide)) {
	t.Parallel()
	for _, feed := range []string{"pattern", "user", "sharded"} {
		t.Run(feed, func(t *testing.T) {
			t.Parallel()
			b := &feedSide{feed: feed, env: roosttest.Env{"REDIS_FEED": feed}}
			if feed == "sharded" {
				cluster := redistest.StartCluster(t, redistest.ClusterOptions{NoReplicas: true})
				cluster.KeepRoles()
				b.redis, b.client = cluster.Nodes()[0], e2e.ClusterClient(t, cluster)
				b.env["REDIS_CLUSTER"] = "true"
			} else {
				server := redistest.Start(t)
				b.redis, b.client = server, server.Client()
			}
			test(t, b)
		})
	}
}

// start starts a server.
func (b *feedSide) start(t *testing.T, env roosttest.Env) *roosttest.Server {
	t.Helper()
	all := maps.Clone(b.env)
	maps.Copy(all, env)
	return roosttest.Start(t, b.redis, all)
}

// hearsAll says whether a server hears what is for users who are not connected to it.
func (b *feedSide) hearsAll() bool { return b.feed == "pattern" }

// publish is the one line of a backend.
func (b *feedSide) publish(ctx context.Context, to redis.Cmdable, user, notification string) *redis.IntCmd {
	if b.feed == "sharded" {
		return to.SPublish(ctx, "user_noti:"+user, notification)
	}
	return to.Publish(ctx, "user_noti:"+user, notification)
}

// notify publishes a notification, and returns how many servers have heard it.
func (b *feedSide) notify(t *testing.T, user, notification string) int64 {
	t.Helper()
	n, err := b.publish(t.Context(), b.client, user, notification).Result()
	if err != nil {
		t.Fatalf("publishing for %s: %v", user, err)
	}
	return n
}

// reach publishes a notification for a user who is connected. As long as nobody has heard it that is done again: where Redis, or the
// server, gets no processor for a second, a handshake goes on without the subscription to its user.
func (b *feedSide) reach(t *testing.T, user, notification string) {
	t.Helper()
	roosttest.WaitFor(t, "a server to hear what is for "+user, func() bool { return b.notify(t, user, notification) > 0 })
}

// awaitHeard waits until a server is subscribed to so many users: those who are connected. See reach.
func (b *feedSide) awaitHeard(t *testing.T, server *roosttest.Server, users int) {
	t.Helper()
	if !b.hearsAll() {
		server.WaitMetric(`roost_feed_users{state="heard"}`, float64(users))
	}
}

// notifyAll publishes many in one go.
func (b *feedSide) notifyAll(t *testing.T, user string, notifications []string) {
	t.Helper()
	_, err := b.client.Pipelined(t.Context(), func(pipe redis.Pipeliner) error {
		for _, n := range notifications {
			b.publish(t.Context(), pipe, user, n)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("publishing: %v", err)
	}
}
