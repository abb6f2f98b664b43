package presence

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"roost/redisfeed/redistest"
)

// A user is online from the first connection on any instance to the last one's end on any, and that is what is told.
func TestPresenceOverTwoInstances(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	cfg := quick(server.Addr())
	told := watchEvents(t, server)
	one, two := startInstance(t, cfg, time.Minute), startInstance(t, cfg, time.Minute)

	one.set(1, "alice")
	waitOnline(t, server, "alice", true)
	told.want(event{"alice", true})
	two.set(2, "alice")
	waitInstances(t, cfg, "alice", 2)
	one.set(0, "alice")
	waitInstances(t, cfg, "alice", 1)
	one.set(1, "alice")
	waitInstances(t, cfg, "alice", 2)
	two.set(0, "alice")
	waitInstances(t, cfg, "alice", 1)
	told.want()
	one.set(0, "alice")
	waitOnline(t, server, "alice", false)
	told.want(event{"alice", false})

	// A user who comes and goes before anybody has looked is not written.
	one.brief("brief")
	one.set(1, "bob")
	waitOnline(t, server, "bob", true)
	told.want(event{"bob", true})
	if got := instancesOf(t, cfg, "alice", "bob", "brief"); got[0] != 0 || got[1] != 1 || got[2] != 0 {
		t.Errorf("on %v instances", got)
	}
}

func TestPresenceOfOddNames(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	told := watchEvents(t, server)
	one := startInstance(t, quick(server.Addr()), time.Minute)
	for _, user := range []string{`"quoted"\`, "a/b:c d", "żółw {x}", "1e3", "%s"} {
		one.set(1, user)
		waitOnline(t, server, user, true)
		one.set(0, user)
		waitOnline(t, server, user, false)
		told.want(event{user, true}, event{user, false})
	}
}

// A key lives as long as its last member, whoever wrote last.
func TestPresenceWithDifferentTTLs(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	cfg := quick(server.Addr())
	ttl := func() time.Duration { return server.Client().PTTL(t.Context(), OnlinePrefix+"alice").Val() }
	long, short := startInstance(t, cfg, time.Hour), startInstance(t, cfg, time.Minute)
	long.set(1, "alice")
	waitInstances(t, cfg, "alice", 1)
	if got := ttl(); got > time.Hour || got < 50*time.Minute {
		t.Errorf("TTL %s, want an hour", got)
	}
	short.set(1, "alice")
	waitInstances(t, cfg, "alice", 2)
	if got := ttl(); got < 50*time.Minute {
		t.Errorf("TTL %s, want an hour still", got)
	}
	long.set(0, "alice")
	waitInstances(t, cfg, "alice", 1)
	if got := ttl(); got > time.Minute || got <= 0 {
		t.Errorf("TTL %s, want a minute", got)
	}
}

// Without renewal the key would be gone after the TTL. Its going would be told.
func TestPresenceIsRenewed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	if err := server.Client().ConfigSet(t.Context(), "notify-keyspace-events", "Ex").Err(); err != nil {
		t.Fatal(err)
	}
	expired := server.Client().Subscribe(t.Context(), "__keyevent@0__:expired")
	defer expired.Close()
	if _, err := expired.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	told := watchEvents(t, server)
	cfg := quick(server.Addr())
	const ttl = 6 * time.Second
	one, two := startInstance(t, cfg, ttl), startInstance(t, cfg, ttl)
	one.set(1, "alice", "both")
	two.set(1, "both")
	waitInstances(t, cfg, "alice", 1)
	waitInstances(t, cfg, "both", 2)
	// A machine that stands still for two thirds of a TTL has somebody be forgotten, for a moment. Without renewals they are for ever.
	redistest.WaitFor(t, "longer than a TTL in which nobody is forgotten", func() bool {
		told.soFar()
		begun, before := time.Now(), one.Status().Written
		redistest.WaitFor(t, "longer than a TTL", func() bool { return time.Since(begun) > ttl*4/3 && one.Status().Written-before >= 2*3 })
		if n, took := one.Status().Written-before, time.Since(begun); n > 2*(uint64(took/(ttl/3))+2) { // two users, three times a TTL
			t.Errorf("written %d times in %s", n, took)
		}
		return slices.Equal(instancesOf(t, cfg, "alice", "both"), []int{1, 2}) && len(told.soFar()) == 0
	})

	// A crash: within the TTL it is as if the instance had never been, and Redis can be made to say so.
	one.dies()
	if left := server.Client().PTTL(t.Context(), OnlinePrefix+"alice").Val(); left == -1 || left > ttl { // -2: on a busy machine it is over
		t.Errorf("alice is offline in %s, the TTL is %s", left, ttl)
	}
	told.soFar()
	waitOnline(t, server, "alice", false)
	waitInstances(t, cfg, "both", 1)
	redistest.WaitFor(t, "the dead instance to be taken out", func() bool {
		return server.Client().ZCard(t.Context(), OnlinePrefix+"both").Val() == 1
	})
	for { // on a busy machine that of both may expire, too, and be back
		m, err := expired.ReceiveMessage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if m.Payload == OnlinePrefix+"alice" {
			break
		}
	}
	two.set(0, "both")
	waitOnline(t, server, "both", false)
	redistest.WaitFor(t, "only that to be told", func() bool {
		got := told.soFar()
		if slices.ContainsFunc(got, func(e event) bool { return e.User == "alice" }) {
			t.Errorf("events %v, and Redis tells of alice", got)
		}
		return slices.Contains(got, event{"both", false})
	})
}

func TestPresenceIsTakenOutAtTheEnd(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	cfg := quick(server.Addr())
	told := watchEvents(t, server)
	one, two := startInstance(t, cfg, time.Hour), startInstance(t, cfg, time.Hour)
	users := manyUsers(3 * batchSize)
	one.set(1, users...)
	two.set(1, users[0])
	redistest.WaitFor(t, "all to be written", func() bool { return one.Status().Written >= uint64(len(users)) })
	waitInstances(t, cfg, users[0], 2)
	if got := len(told.soFar()); got != len(users) {
		t.Errorf("%d events, want %d", got, len(users))
	}
	one.set(0, users[:100]...) // some have gone already
	one.end()
	if n := server.Client().DBSize(t.Context()).Val(); n != 1 {
		t.Errorf("%d users are online, want the one of the other instance", n)
	}
	if got := len(told.soFar()); got != len(users)-1 {
		t.Errorf("%d events, want %d", got, len(users)-1)
	}
}

// Expired members count for nothing, even while Redis still has them.
func TestPresenceIgnoresWhatHasExpired(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	told := watchEvents(t, server)
	one := startInstance(t, quick(server.Addr()), time.Hour)
	leftover := func() {
		if err := server.Client().ZAdd(t.Context(), OnlinePrefix+"alice", redis.Z{Score: 1, Member: "crashed"}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	leftover()
	one.set(1, "alice")
	waitInstances(t, quick(server.Addr()), "alice", 1)
	told.want(event{"alice", true})
	leftover()
	one.set(0, "alice")
	waitOnline(t, server, "alice", false)
	told.want(event{"alice", false})
}

func TestPresenceOnAKeyOfSomebodyElse(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	if err := server.Client().Set(t.Context(), OnlinePrefix+"taken", "x", 0).Err(); err != nil {
		t.Fatal(err)
	}
	var log redistest.Log
	cfg := quick(server.Addr())
	cfg.Logger = log.Logger()
	one := startInstance(t, cfg, time.Second)
	one.set(1, "taken", "alice")
	waitOnline(t, server, "alice", true)
	redistest.WaitFor(t, "renewals", func() bool { return one.Status().Failed > 2 && one.Status().Pending == 0 })
	if s := one.Status(); s.FailingFor != 0 {
		t.Errorf("status %+v: the others are written", s)
	}
	if n := strings.Count(log.String(), "somebody else's"); n != 1 {
		t.Errorf("%d lines about it, want 1:\n%s", n, log.String())
	}
}

func TestPresenceRefusesATTLThatIsTooShort(t *testing.T) {
	t.Parallel()
	if _, err := New(quick("127.0.0.1:1"), time.Millisecond, newPeople(), nil); err == nil || !strings.Contains(err.Error(), "300ms") {
		t.Errorf("a TTL of a millisecond: %v", err)
	}
}
