package deliver

import (
	"encoding/json"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// isOnline asks as a backend does.
func isOnline(t *testing.T, redis *redistest.Server, user string) bool {
	t.Helper()
	n, err := redis.Client().Exists(t.Context(), "user_online:"+user).Result()
	if err != nil {
		t.Fatal(err)
	}
	return n == 1
}

// tooSlow reports whether Redis has not answered a server in time.
func tooSlow(server *roosttest.Server) bool {
	return len(server.Log.Find("presence can't be written to redis")) > 0
}

// leftLate reports whether a server that has stopped could not take its users out of Redis in the time that it has for it.
func leftLate(server *roosttest.Server) bool {
	return strings.Contains(server.Log.String(), "stay online in redis")
}

func waitOnline(t *testing.T, redis *redistest.Server, user string, online bool) {
	t.Helper()
	what := user + " to be offline"
	if online {
		what = user + " to be online"
	}
	roosttest.WaitFor(t, what, func() bool { return isOnline(t, redis, user) == online })
}

// presenceEvents returns a function that returns all events since its last call, each as alice+ or alice-.
func presenceEvents(t *testing.T, redis *redistest.Server) func() []string {
	t.Helper()
	told := redis.Client().Subscribe(t.Context(), "user_presence")
	t.Cleanup(func() { _ = told.Close() })
	if _, err := told.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	return func() (events []string) {
		t.Helper()
		redis.Publish("user_presence", `{}`)
		for {
			m, err := told.ReceiveMessage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var event struct {
				User   string
				Online bool
			}
			if err := json.Unmarshal([]byte(m.Payload), &event); err != nil {
				t.Fatalf("%s: %v", m.Payload, err)
			}
			switch {
			case event.User == "":
				slices.Sort(events)
				return events
			case event.Online:
				events = append(events, event.User+"+")
			default:
				events = append(events, event.User+"-")
			}
		}
	}
}

// TestPresenceOfTwoServers follows users over two servers, of which one stops well and the other dies.
func TestPresenceOfTwoServers(t *testing.T) {
	t.Parallel()
	long := roosttest.Env{"REDIS_PRESENCE": "true", "REDIS_PRESENCE_TTL": "10m"} // nobody is forgotten while a process stands still
	redis, one := e2e.Start(t, long)
	two := roosttest.Start(t, redis, long)
	heard := presenceEvents(t, redis)
	events := func() []string {
		t.Helper()
		got := heard()
		if tooSlow(one) || tooSlow(two) {
			return slices.Compact(got) // what Redis did not answer in time is written, and told, again
		}
		return got
	}
	first, second := one.Connect("alice"), two.Connect("alice")
	one.Connect("alice") // a second one here
	one.Connect("bob")
	two.Connect("carol")
	two.Connect("dave")
	onOne := one.Connect("dave")
	wantOnline := func(want string) {
		t.Helper()
		var got string
		roosttest.WaitFor(t, want, func() bool {
			_, got, _ = e2e.Online(t, redis, "alice", "bob", "carol", "dave")
			return strings.Join(strings.Fields(got), " ") == want
		})
	}
	wantOnline("alice online on 2 instances bob online on 1 instance carol online on 1 instance dave online on 2 instances")
	if got := events(); !slices.Equal(got, []string{"alice+", "bob+", "carol+", "dave+"}) {
		t.Errorf("told %q", got)
	}
	e2e.WaitDeep(t, one)
	if n := redis.Client().DBSize(t.Context()).Val(); n != 4 {
		t.Errorf("%d users are online, want 4: probes are nobody", n)
	}
	first.Close()
	second.Close()
	onOne.Close()
	wantOnline("alice online on 1 instance bob online on 1 instance carol online on 1 instance dave online on 1 instance")
	if got := events(); len(got) > 0 {
		t.Errorf("told %q, and nobody has gone", got)
	}
	one.WaitMetric("roost_presence_pending", 0)
	if m := one.Metrics(); m[`roost_presence_writes_total{result="ok"}`] < 4 || (m[`roost_presence_writes_total{result="failed"}`] != 0) != tooSlow(one) || m["roost_presence_failing_seconds"] != 0 {
		t.Errorf("written %v, failed %v, for %v s", m[`roost_presence_writes_total{result="ok"}`], m[`roost_presence_writes_total{result="failed"}`], m["roost_presence_failing_seconds"])
	}

	if code := one.Stop(); code != 0 {
		t.Errorf("ended with %d", code)
	}
	if leftLate(one) {
		t.Skip("this machine is too busy to say in time who leaves")
	}
	if got := events(); !slices.Equal(got, []string{"alice-", "bob-"}) {
		t.Errorf("told %q", got)
	}
	if isOnline(t, redis, "alice") || isOnline(t, redis, "bob") || !isOnline(t, redis, "carol") || !isOnline(t, redis, "dave") {
		t.Error("who was only where it stopped is online, or another is not")
	}

	dies := roosttest.Start(t, redis, e2e.WithPresence)
	dies.Connect("dave")
	dies.Connect("erin")
	waitOnline(t, redis, "erin", true)
	roosttest.WaitFor(t, "dave on two", func() bool { _, got, _ := e2e.Online(t, redis, "dave"); return strings.Contains(got, "2 instances") })
	if got := slices.Compact(events()); !slices.Equal(got, []string{"erin+"}) { // told again, if she was forgotten while it stood still
		t.Errorf("told %q", got)
	}
	dies.Signal(syscall.SIGKILL)
	dies.Wait()
	if left := redis.Client().PTTL(t.Context(), "user_online:erin").Val(); left == -1 || left > 10*time.Second {
		t.Errorf("erin is forgotten in %s, the TTL is 10s", left)
	}
	waitOnline(t, redis, "erin", false)
	roosttest.WaitFor(t, "dave to be on one instance", func() bool {
		code, got, _ := e2e.Online(t, redis, "dave")
		return code == 0 && strings.Contains(got, "1 instance\n")
	})
	if got := events(); len(got) > 0 && !tooSlow(dies) {
		t.Errorf("told %q", got)
	}
}

// A user whom the old process of an upgrade has closed and who has come to the new one stays online, under the new one's
// name alone.
func TestPresenceThroughAnUpgrade(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, roosttest.Env{"WS_UPGRADE": "drain", "REDIS_PRESENCE": "true", "WS_DRAIN_WINDOW": "500ms", "WS_DRAIN_RATE": "0"})
	e2e.EndLast(t, server)
	server.Connect("stays")
	server.Connect("goes")
	waitOnline(t, redis, "stays", true)
	waitOnline(t, redis, "goes", true)
	e2e.SignalLast(server, syscall.SIGUSR2)
	server.WaitLine("draining: no new connections, and the open ones are closed") // or the old one might still accept
	server.Connect("stays")
	server.WaitLine("stopped")
	if leftLate(server) {
		t.Skip("this machine is too busy to say in time who leaves")
	}
	if code, got, _ := e2e.Online(t, redis, "goes"); code != 1 || !strings.Contains(got, "offline") {
		t.Errorf("who has gone: %d, %q", code, got)
	}
	roosttest.WaitFor(t, "who has come back to be on one instance", func() bool {
		code, got, _ := e2e.Online(t, redis, "stays")
		return code == 0 && strings.Contains(got, "1 instance\n")
	})
	e2e.SignalLast(server, syscall.SIGTERM)
	waitOnline(t, redis, "stays", false)
}

// Redis is away when connections come and go, and is empty when it is back.
func TestPresenceAfterAnOutage(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, e2e.WithPresence)
	stays, leaves := server.Connect("stays"), server.Connect("leaves")
	waitOnline(t, redis, "stays", true)
	redis.Kill()
	comes := server.Connect("comes")
	leaves.Close()
	server.WaitLine("presence can't be written to redis")
	redis.Restart()
	waitOnline(t, redis, "comes", true)
	waitOnline(t, redis, "stays", true) // by its renewal
	server.WaitLine("presence is written again")
	waitOnline(t, redis, "leaves", false)
	for _, c := range []*roosttest.Client{stays, comes} {
		if c.Ended() {
			t.Error("somebody was disconnected")
		}
	}
}

// Without REDIS_PRESENCE nothing is written.
func TestNoPresenceUnlessAskedFor(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, nil)
	server.Connect("alice")
	e2e.Notify(redis, "alice", e2e.Numbered(1))
	server.WaitMetric("roost_deliveries_sent_total", 1)
	if n := redis.Client().DBSize(t.Context()).Val(); n != 0 {
		t.Errorf("%d keys in Redis", n)
	}
	for name := range server.Metrics() {
		if strings.HasPrefix(name, "roost_presence_writes_total") {
			t.Errorf("there is %s", name)
		}
	}
}
