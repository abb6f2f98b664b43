package redis

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// followed is what a server is told to follow the master of a trio.
func followed(tr *redistest.Trio, env roosttest.Env) roosttest.Env {
	all := roosttest.Env{"REDIS_ADDRS": strings.Join(tr.Addrs(), " ,"), "REDIS_MASTER_NAME": redistest.MasterName}
	for name, value := range env {
		all[name] = value
	}
	return all
}

// backend publishes numbered notifications for alice, one after the other, on whatever is the master.
type backend struct {
	mu   sync.Mutex
	sent map[int]taken // what Redis took
}

// taken is between which times Redis took a notification.
type taken struct{ begun, done time.Time }

func (b *backend) run(ctx context.Context, tr *redistest.Trio) {
	client := redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName: redistest.MasterName, SentinelAddrs: tr.Addrs(),
		MaxRetries: -1, DialTimeout: roosttest.Limit, ReadTimeout: roosttest.Limit, WriteTimeout: roosttest.Limit,
	})
	defer client.Close()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ctx.Err() == nil; n++ {
		<-tick.C
		begun := time.Now()
		if client.Publish(ctx, "user_noti:alice", e2e.Numbered(n)).Err() == nil {
			b.mu.Lock()
			b.sent[n] = taken{begun, time.Now()}
			b.mu.Unlock()
		}
	}
}

// fromAlice are the numbers that came, and the gap that was told.
func fromAlice(t *testing.T, client *roosttest.Client) (numbers []int, since time.Time) {
	t.Helper()
	for _, text := range client.Messages() {
		var message struct {
			Type    string
			Payload json.RawMessage
		}
		var notice struct {
			Reason string
			Since  time.Time
		}
		var n int
		switch err := json.Unmarshal([]byte(text), &message); {
		case err == nil && message.Type == "n" && json.Unmarshal(message.Payload, &n) == nil:
			numbers = append(numbers, n)
		case err == nil && message.Type == "_gap" && json.Unmarshal(message.Payload, &notice) == nil && notice.Reason == "redis":
			if !since.IsZero() {
				t.Error("told of two gaps")
			}
			since = notice.Since
		default:
			t.Errorf("got %q, %v", text, err)
		}
	}
	return numbers, since
}

// TestFailover kills a master and one of its sentinels in the middle of traffic. Nothing comes twice, and nothing that
// Redis took is missing but what lies in the gap that clients are told of.
func TestFailover(t *testing.T) {
	t.Parallel()
	tr := redistest.StartTrio(t, nil)
	tr.KeepMaster() // the only failover is the one below
	server := roosttest.Start(t, tr.Master, followed(tr, roosttest.Env{"WS_GAP_NOTICE": "true"}))
	server.WaitLine("REDIS_HOST has no effect beside REDIS_ADDRS: who is listed there says where Redis is")
	alice := server.Connect("alice")
	b := &backend{sent: map[int]taken{}}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var wg sync.WaitGroup
	wg.Go(func() { b.run(ctx, tr) })
	alice.WaitMessages(100)

	before := time.Now()
	tr.Sentinels[0].Kill()
	tr.Master.Kill()
	killed := time.Now()
	server.WaitLine("redis link lost")
	e2e.WaitHealth(t, server, http.StatusServiceUnavailable, "degraded")
	tr.Failover()
	server.WaitLine("redis feed is subscribed again, what was published meanwhile is lost", "addr", tr.Replica.Addr())
	back := time.Now()
	e2e.WaitHealth(t, server, http.StatusOK, "healthy")
	alice.WaitMessages(len(alice.Messages()) + 100)
	tr.Master.Restart()
	tr.AwaitReplica(tr.Master)
	alice.WaitMessages(len(alice.Messages()) + 100)
	stop()
	wg.Wait()
	published := roosttest.Run(t, roosttest.Command{Args: []string{"publish", "alice", e2e.Numbered(-1)}, Env: followed(tr, nil)})
	if code := published.Wait(); code != 0 || !strings.Contains(published.Log.String(), "1 server got it from Redis") {
		t.Errorf("roost publish ended with %d: %s%s", code, published.Log, published.Stderr)
	}
	roosttest.WaitFor(t, "the last notification", func() bool {
		numbers, _ := fromAlice(t, alice)
		return len(numbers) > 0 && numbers[len(numbers)-1] == -1
	})

	numbers, since := fromAlice(t, alice)
	if since.After(killed) || before.Sub(since) > 10*time.Second {
		t.Errorf("told of a gap since %s, the master was killed between %s and %s", since, before, killed)
	}
	got := map[int]int{}
	for _, n := range numbers {
		got[n]++
		if got[n] > 1 {
			t.Errorf("%d came %d times", n, got[n])
		}
	}
	lost := 0
	for n, at := range b.sent {
		if got[n] > 0 {
			continue
		}
		lost++
		if at.done.Before(since) || at.begun.After(back) {
			t.Errorf("%d is missing: published at %s, with a gap from %s to %s", n, at.begun, since, back)
		}
	}
	t.Logf("Redis took %d, %d came, %d were lost in a gap of %s", len(b.sent), len(numbers)-1, lost, back.Sub(killed))
	if got := server.Metrics()["roost_redis_reconnects_total"]; got != 1 {
		t.Errorf("%v reconnects are counted, want 1", got)
	}
	e2e.WaitDeep(t, server)
}

// TestNoSentinel checks that the log and /health say what each sentinel answered.
func TestNoSentinel(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	server := roosttest.Launch(t, redis, roosttest.Env{"REDIS_ADDRS": redis.Addr() + ",127.0.0.1:1", "REDIS_MASTER_NAME": "m"})
	line := server.WaitLine("redis cannot be reached")
	health := e2e.WaitHealth(t, server, http.StatusServiceUnavailable, "degraded")
	for where, said := range map[string]string{"the log": line.Text("error"), "/health": health.Redis.Error} {
		for _, want := range []string{
			"no sentinel says where the master is", redis.Addr() + ": it is no sentinel (REDIS_ADDRS)", "127.0.0.1:1: ",
		} {
			if !strings.Contains(said, want) {
				t.Errorf("%s says %q, want %q in it", where, said, want)
			}
		}
	}
}
