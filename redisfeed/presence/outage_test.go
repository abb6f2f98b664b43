package presence

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"roost/redisfeed/redistest"
)

func manyUsers(n int) (users []string) {
	for i := range n {
		users = append(users, fmt.Sprintf("user%05d", i))
	}
	return users
}

// A Redis that was started again knows nothing, neither users nor scripts; nobody comes or goes meanwhile.
func TestPresenceLearnsAnEmptyRedisAgain(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	cfg := quick(server.Addr())
	const ttl = 1500 * time.Millisecond
	one := startInstance(t, cfg, ttl)
	one.set(1, "alice", "bob")
	waitOnline(t, server, "alice", true)
	server.Restart()
	waitOnline(t, server, "alice", true)
	waitOnline(t, server, "bob", true)

	// Here nothing fails that could be noticed.
	if err := server.Client().FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if err := server.Client().ScriptFlush(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	waitOnline(t, server, "alice", true) // after a third of the TTL: see TestRounds
	waitOnline(t, server, "bob", true)
}

func TestPresenceWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var log redistest.Log
	cfg := quick(server.Addr())
	cfg.Logger = log.Logger()
	one := startInstance(t, cfg, time.Hour)
	one.set(1, "stays", "leaves")
	waitOnline(t, server, "stays", true)
	server.Kill()
	killed := time.Now()
	users := manyUsers(2000)
	one.set(1, users...)
	one.set(0, "leaves")
	redistest.WaitFor(t, "the failure", func() bool { s := one.Status(); return s.FailingFor > 0 && s.Failed > 0 })
	one.set(0, users[:1000]...)
	redistest.WaitFor(t, "some attempts", func() bool { return one.Status().Failed > 2*batchSize })
	if s := one.Status(); s.Pending > 2002 {
		t.Errorf("%d are pending, of 2002 users who were marked", s.Pending)
	}
	if n, attempts := one.Status().Failed, uint64(time.Since(killed)/retryPause)+2; n > attempts*batchSize {
		t.Errorf("%d writes failed, of %d attempts", n, attempts)
	}
	server.Restart()
	redistest.WaitFor(t, "all to be written", func() bool { s := one.Status(); return s.Pending == 0 && s.FailingFor == 0 })
	for user, want := range map[string]bool{"leaves": false, users[0]: false, users[999]: false, users[1000]: true, users[1999]: true} {
		if exists(t, server, user) != want {
			t.Errorf("%s is online: %t", user, !want)
		}
	}
	redistest.WaitFor(t, "the log to say so", func() bool { return strings.Contains(log.String(), "presence is written again") })
	for _, line := range []string{"presence can't be written to redis", "presence is written again"} {
		if n := strings.Count(log.String(), line); n != 1 {
			t.Errorf("%d lines %q, want 1:\n%s", n, line, log.String())
		}
	}
}

// Nothing has to be written: that Redis is back has to be known all the same.
func TestPresenceKnowsThatRedisIsBack(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Kill()
	one := startInstance(t, quick(server.Addr()), minTTL)
	users := manyUsers(10)
	one.set(1, users...)
	redistest.WaitFor(t, "the failure", func() bool { return one.Status().FailingFor > 0 })
	one.set(0, users...)
	redistest.WaitFor(t, "them to be let go of, as Redis has forgotten them", func() bool {
		s := one.Status()
		return s.FailingFor > minTTL+answerLimit+2*retryPause && s.Pending <= 1
	})
	server.Restart()
	redistest.WaitFor(t, "that to be noticed", func() bool { s := one.Status(); return s.FailingFor == 0 && s.Pending == 0 })
	if n := server.Client().DBSize(t.Context()).Val(); n != 0 {
		t.Errorf("%d keys were made for nobody", n)
	}
}

// A Redis that hangs holds up nobody, and the end comes in time.
func TestPresenceEndsWhileRedisHangs(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var log redistest.Log
	cfg := quick(server.Addr())
	cfg.Logger = log.Logger()
	one := startInstance(t, cfg, time.Hour)
	one.set(1, manyUsers(5000)...)
	redistest.WaitFor(t, "all to be written", func() bool { return one.Status().Written >= 5000 })
	one.working.Lock()
	one.patience, one.leaveIn = answerLimit, leaveLimit
	one.working.Unlock()
	server.Pause()
	begun := time.Now()
	one.end()
	if took := time.Since(begun); took > 30*time.Second {
		t.Errorf("the end took %s, it has 5 s and 3 for what is under way", took)
	}
	server.Resume()
	if !strings.Contains(log.String(), "stay online in redis until they expire") || !strings.Contains(log.String(), "users=5000") {
		t.Errorf("the log does not say who stays:\n%s", log.String())
	}
}

// Many who come at once are few round trips.
func TestPresenceIsBatched(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	link := &redistest.Proxy{}
	link.Delay = 20 * time.Millisecond // that a round trip costs
	link.Target = server.Addr()
	link.Start(t)
	one := startInstance(t, quick(link.Addr), time.Hour)
	const users = 10_000
	one.set(1, manyUsers(users)...)
	// One by one it would take 400 s, at 40 ms for a round trip.
	redistest.WaitFor(t, "all to be written", func() bool { return one.Status().Written >= users })
	calls := server.Client().Info(t.Context(), "commandstats").Val()
	if n := strings.Count(calls, "cmdstat_evalsha:"); n != 1 {
		t.Fatalf("no calls: %s", calls)
	}
	if n := server.Client().DBSize(t.Context()).Val(); n != users {
		t.Errorf("%d users are online, want %d", n, users)
	}
}

// With Sentinel the new master is written to as soon as the old one takes nothing any more.
func TestPresenceFollowsTheMaster(t *testing.T) {
	t.Parallel()
	tr := redistest.StartTrio(t, nil)
	one := startInstance(t, following(tr), time.Hour)
	one.set(1, "before")
	waitOnline(t, tr.Master, "before", true)
	tr.Master.Kill()
	one.set(1, "after")
	tr.AwaitMaster(tr.Replica)
	tr.KeepMaster()
	waitOnline(t, tr.Replica, "after", true)
	one.set(0, "before")
	waitOnline(t, tr.Replica, "before", false)
	tr.Master.Restart()
	tr.AwaitReplica(tr.Master)
	one.end()
	waitOnline(t, tr.Replica, "after", false)
}

// A Redis so slow that there is always something to renew does not keep those who go from being told of: without that
// they'd only expire.
func TestPresenceOnASlowRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	told := watchEvents(t, server)
	link := &redistest.Proxy{Delay: 100 * time.Millisecond}
	link.Target = server.Addr()
	link.Start(t)
	one := startInstance(t, quick(link.Addr), 3*time.Second) // eight parts in a second, a round trip each of 200 ms
	one.set(1, manyUsers(200)...)
	redistest.WaitFor(t, "renewals", func() bool { return one.Status().Written > 500 })
	one.set(0, "user00007")
	redistest.WaitFor(t, "the event", func() bool { return slices.Contains(told.soFar(), event{"user00007", false}) })
}

// A Redis too slow for the TTL is told of: users who are connected expire in it.
func TestPresenceIsRenewedTooSlowly(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var log redistest.Log
	link := &redistest.Proxy{Delay: 100 * time.Millisecond}
	link.Target = server.Addr()
	link.Start(t)
	cfg := quick(link.Addr)
	cfg.Logger = log.Logger()
	one := startInstance(t, cfg, 500*time.Millisecond) // eight parts, a round trip each of 200 ms
	one.set(1, manyUsers(200)...)
	redistest.WaitFor(t, "that to be said", func() bool { return strings.Contains(log.String(), "presence is renewed too slowly") })
}

// When a user's time ran out while they were here nobody is told. Their going is told all the same, once.
func TestPresenceTellsOfWhoWasForgotten(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	cfg := quick(server.Addr())
	told := watchEvents(t, server)
	one, two := startInstance(t, cfg, time.Hour), startInstance(t, cfg, time.Hour)
	one.set(1, "alice", "both", "stops")
	two.set(1, "both")
	waitInstances(t, cfg, "both", 2)
	waitInstances(t, cfg, "alice", 1)
	waitInstances(t, cfg, "stops", 1)
	told.want(event{"alice", true}, event{"both", true}, event{"stops", true})

	forget := func(user string) {
		if err := server.Client().Del(t.Context(), OnlinePrefix+user).Err(); err != nil {
			t.Fatal(err)
		}
	}
	forget("alice")
	forget("both")
	two.set(0, "both")
	redistest.WaitFor(t, "the event", func() bool { return two.Status().Written > 1 })
	two.set(1, "both")
	waitOnline(t, server, "both", true)
	written := one.Status().Written
	one.set(0, "alice", "both")
	one.brief("brief") // is here for less than it takes to look
	redistest.WaitFor(t, "all to be written", func() bool { return one.Status().Written >= written+3 })
	told.want(event{"both", false}, event{"both", true}, event{"alice", false})

	forget("stops")
	one.end()
	told.want(event{"stops", false})
}
