package redisfeed

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"roost/redisfeed/internal/subs"
	"roost/redisfeed/publish"
	"roost/redisfeed/redistest"
)

// Users come and go on many goroutines while links break; in the end exactly those who are here are subscribed to, each
// once.
func TestChurn(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	churn(t, perUser(server.Addr()), 3000, []*redistest.Server{server}, func(ctx context.Context, c *redis.Client) ([]string, error) {
		return c.PubSubChannels(ctx, publish.ChannelPrefix+"*").Result()
	})
}

func TestShardedChurn(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.ClusterOptions{NoReplicas: true})
	churn(t, sharded(c), 500, c.Nodes(), func(ctx context.Context, c *redis.Client) ([]string, error) {
		return c.PubSubShardChannels(ctx, publish.ChannelPrefix+"*").Result()
	})
}

func churn(t *testing.T, cfg Config, steps int, servers []*redistest.Server, channels func(context.Context, *redis.Client) ([]string, error)) {
	cfg.UnsubscribeDelay = -1
	feed := connected(t, cfg, &collector{})
	const (
		workers = 6
		users   = 40
	)
	here := make([][]string, workers) // what each worker leaves acquired
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(w), 7))
			var mine []string
			for range steps {
				if len(mine) > 0 && random.IntN(2) == 0 {
					i := random.IntN(len(mine))
					feed.Release(mine[i])
					mine = slices.Delete(mine, i, i+1)
				} else {
					user := fmt.Sprint("user", random.IntN(users))
					waiter := make(awaited, 1)
					if !feed.Acquire(user, waiter) && random.IntN(4) == 0 {
						<-waiter
					}
					mine = append(mine, user)
				}
				if random.IntN(20) == 0 {
					time.Sleep(time.Millisecond) // so that expiries come in between
				}
			}
			for len(mine) > 3 {
				feed.Release(mine[0])
				mine = mine[1:]
			}
			here[w] = mine
		})
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(40 * time.Millisecond):
				_ = servers[i%len(servers)].Client().Do(context.Background(), "CLIENT", "KILL", "TYPE", "pubsub").Err()
			}
		}
	}()
	wg.Wait()
	close(stop)
	<-stopped
	want := slices.Concat(here...)
	slices.Sort(want)
	want = slices.Compact(want)
	var got []string
	redistest.WaitFor(t, "the subscriptions to be those of the users who are here", func() bool {
		got = nil
		for _, server := range servers {
			names, err := channels(t.Context(), server.Client())
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range names {
				if user := strings.TrimPrefix(name, publish.ChannelPrefix); user[0] != 0 {
					got = append(got, user)
				}
			}
		}
		slices.Sort(got)
		return slices.Equal(got, want) && feed.Status().Users == Users{Subscribed: len(want)}
	})
	checkEmptied(t, feed.subs)
	for _, user := range slices.Concat(here...) {
		feed.Release(user)
	}
	redistest.WaitFor(t, "nobody to be left", func() bool { return feed.Status().Users == Users{} })
	checkEmptied(t, feed.subs)
	if n := feed.subs.Lost(); n != 0 {
		t.Errorf("%d are lost, and nobody is here", n)
	}
}

// checkEmptied fails if what is kept for a while only was not let go.
func checkEmptied(t *testing.T, s *subs.Subscriptions) {
	t.Helper()
	redistest.WaitFor(t, "nobody to wait or to expire", func() bool { return s.Pending() == 0 })
}
