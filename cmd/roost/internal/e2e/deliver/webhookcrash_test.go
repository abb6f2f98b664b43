package deliver

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

const (
	presenceInstances = "roost:presence:instances"
	presenceLists     = "roost:presence:users:*"
)

// count is how many users the backend takes for online, or offline.
func (b *backend) count(users []string, kind string) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, user := range users {
		if b.newest[user][1] == kind {
			n++
		}
	}
	return n
}

// waitAll waits until the backend takes all these for online, or offline.
func (b *backend) waitAll(users []string, kind string) {
	b.t.Helper()
	roosttest.WaitFor(b.t, fmt.Sprintf("%d users to be %s, first %s", len(users), kind, users[0]), func() bool { return b.count(users, kind) == len(users) })
}

func numbered(prefix string, n int) (users []string) {
	for i := range n {
		users = append(users, fmt.Sprint(prefix, i))
	}
	return users
}

func connectAll(server *roosttest.Server, users []string) (clients []*roosttest.Client) {
	for _, user := range users {
		clients = append(clients, server.Connect(user))
	}
	return clients
}

// instance is the name that a server's only instance has in Redis, beside those before it.
func instance(t *testing.T, server *redistest.Server, before ...string) (name string) {
	t.Helper()
	roosttest.WaitFor(t, "the instance to be registered", func() bool {
		for _, member := range server.Client().ZRange(t.Context(), presenceInstances, 0, -1).Val() {
			if !strings.Contains(" "+strings.Join(before, " ")+" ", " "+member+" ") {
				name = member
			}
		}
		return name != ""
	})
	return name
}

// expire has an instance's time be over, which would take 10 s and more.
func expire(t *testing.T, server *redistest.Server, instance string) {
	t.Helper()
	if err := server.Client().ZAddXX(t.Context(), presenceInstances, redis.Z{Score: 1, Member: instance}).Err(); err != nil {
		t.Fatal(err)
	}
}

// The users of an instance that was killed are offline soon, but for those who are on another. A clean end leaves nothing in Redis.
func TestWebhookAfterACrash(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the TTL of presence, 10 s")
	}
	t.Parallel()
	redis := redistest.Start(t)
	b := startBackend(t)
	dies := roosttest.Start(t, redis, b.env(e2e.WithPresence))
	stays := roosttest.Start(t, redis, b.env(e2e.WithPresence))
	alone, both := numbered("alone", 150), numbered("both", 50)
	connectAll(dies, alone)
	connectAll(dies, both)
	b.waitAll(append(alone, both...), "online")
	clients := connectAll(stays, both)
	for _, user := range both {
		waitOnInstances(t, redis, user, 2)
	}
	dies.Signal(syscall.SIGKILL)
	dies.Wait()
	b.waitAll(alone, "offline")
	roosttest.WaitFor(t, "all users to be told of", func() bool { return stays.Metrics()["roost_webhook_reported_users_total"] >= 200 })
	b.waitAll(both, "online")
	for i, user := range both {
		waitOnInstances(t, redis, user, 1)
		clients[i].Close()
	}
	b.waitAll(both, "offline")
	stays.WaitLine("an instance has died: its users are reported to the webhook")
	stays.Connect("alone0")
	b.waitAll([]string{"alone0"}, "online")
	if code := stays.Stop(); code != 0 {
		t.Errorf("ended with %d", code)
	}
	for _, slow := range []string{"webhook events are lost", "stays in redis", "stay online in redis", "presence is written anew"} {
		if strings.Contains(stays.Log.String()+dies.Log.String(), slow) {
			t.Skipf("this machine is too busy to see what a clean end leaves: %s", slow)
		}
	}
	if keys := redis.Client().Keys(t.Context(), "roost:presence:*").Val(); len(keys) > 0 {
		t.Errorf("a clean end leaves %q", keys)
	}
}

// The instance that reports a dead one is killed, too, before the endpoint has taken anything. One that starts later, when none is left,
// reports the users of both.
func TestWebhookAfterACrashOfAll(t *testing.T) {
	if testing.Short() {
		t.Skip("waits until instances look for dead ones")
	}
	t.Parallel()
	redis := redistest.Start(t)
	b := startBackend(t)
	first := roosttest.Start(t, redis, b.env(e2e.WithPresence))
	one := instance(t, redis)
	second := roosttest.Start(t, redis, b.env(e2e.WithPresence))
	two := instance(t, redis, one)
	users, others := numbered("first", 20), numbered("second", 20)
	connectAll(first, users)
	connectAll(second, others)
	b.waitAll(append(users, others...), "online")
	b.answer(http.StatusServiceUnavailable)
	first.Signal(syscall.SIGKILL)
	first.Wait()
	expire(t, redis, one)
	roosttest.WaitFor(t, "the second to report the first", func() bool { return second.Metrics()["roost_webhook_reported_users_total"] >= 20 })
	second.Signal(syscall.SIGKILL)
	second.Wait()
	for _, gone := range []string{"taken:" + one, two} {
		expire(t, redis, gone)
	}
	b.answer(http.StatusNoContent)
	third := roosttest.Start(t, redis, b.env(e2e.WithPresence))
	b.waitAll(append(users, others...), "offline")
	roosttest.WaitFor(t, "the lists to be gone", func() bool {
		return len(redis.Client().Keys(t.Context(), presenceLists).Val()) == 0 && redis.Client().ZCard(t.Context(), presenceInstances).Val() == 1
	})
	third.Connect("first0")
	b.waitAll([]string{"first0"}, "online")
}

// A process that stood still is taken for dead: its users are offline, and online again when it goes on. They go as others do.
func TestWebhookWhileAnInstanceStandsStill(t *testing.T) {
	if testing.Short() {
		t.Skip("waits until instances look for dead ones")
	}
	t.Parallel()
	redis := redistest.Start(t)
	b := startBackend(t)
	stands := roosttest.Start(t, redis, b.env(e2e.WithPresence))
	name := instance(t, redis)
	roosttest.Start(t, redis, b.env(e2e.WithPresence))
	users := numbered("user", 20)
	clients := connectAll(stands, users)
	b.waitAll(users, "online")
	stands.Signal(syscall.SIGSTOP)
	expire(t, redis, name)
	b.waitAll(users, "offline")
	stands.Signal(syscall.SIGCONT)
	b.waitAll(users, "online")
	stands.WaitLine("presence is written anew: this instance was taken for dead, or redis had lost it")
	for _, client := range clients {
		client.Close()
	}
	b.waitAll(users, "offline")
}
